//! CouchDB's HTTP API: which path and method leads to which handler, and what stands around all of them.
//!
//! From the outside in: CORS, what becomes of bodies that nobody reads, slow bodies cut off, gzip both ways, the body's
//! limit, the check of who is asking, the handler.

mod all_docs;
mod answer;
mod attachment;
mod bulk;
mod bulk_parts;
mod changes;
mod database;
mod document;
mod feed;
mod find;
mod guard;
mod leftover;
mod multipart;
mod open_revs;
mod query;
mod range;
mod related;
mod replicate;
mod request;
mod root;
mod security;
mod session;
mod snapshot;
mod stream;
mod upload;
mod users;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Extensions, HeaderMap, HeaderName, Method, StatusCode, Version, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
pub use document::path_of;
use tokio::sync::{Semaphore, watch};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::auth::Sessions;
use crate::clients::Clients;
use crate::config::{Access, Limits, Origins};
use crate::databases::Databases;
use crate::metrics::Metrics;
use crate::passwords::Passwords;
use crate::replication::registry::Registry;
use answer::{AsItIs, Failure, Trickles, method_not_allowed};
use request::Target;

/// What all handlers share.
#[derive(Debug)]
pub struct App {
    /// The databases of the data folder.
    pub databases: Databases,
    /// Who may read and write.
    pub access: Access,
    /// The open sessions.
    pub sessions: Sessions,
    /// Checks passwords of accounts.
    pub passwords: Passwords,
    /// Whether connections are encrypted.
    pub speaks_tls: bool,
    /// What bounds a client.
    pub limits: Limits,
    /// Room for feeds.
    pub feeds: Arc<Semaphore>,
    /// What each client asks for at one time.
    pub clients: Arc<Clients>,
    /// What a monitoring system sees.
    pub metrics: Metrics,
    /// The replications that this server acts in.
    pub replications: Arc<Registry>,
    /// Turns `true` when the server stops: feeds end.
    pub stopping: watch::Receiver<bool>,
}

/// Adds the answer for methods that a resource lacks.
fn only(allowed: &'static str, methods: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    methods.fallback(move || method_not_allowed(allowed))
}

/// The API for whoever is let in.
fn api() -> Router<Arc<App>> {
    Router::new()
        .merge(server_routes())
        .merge(database_routes())
        .merge(document_routes())
        .merge(absent_routes())
        .fallback(async || Failure::not_found("missing"))
}

/// The API for parts of this server, which say that they are.
pub fn inside(app: Arc<App>) -> Router {
    api().with_state(app).layer(DefaultBodyLimit::disable())
}

/// The whole API over `app`, with all that stands around it.
pub fn router(app: Arc<App>, origins: &Origins) -> Router {
    let cors = cors(origins, &app.access);
    let limits = app.limits;
    api()
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app.clone())
        .layer(DefaultBodyLimit::max(limits.body_bytes_max))
        .layer(RequestDecompressionLayer::new())
        .layer(
            CompressionLayer::new()
                .quality(CompressionLevel::Fastest)
                .compress_when(DefaultPredicate::new().and(may_be_compressed)),
        )
        .layer(RequestBodyTimeoutLayer::new(Duration::from_millis(limits.slow_client_timeout_ms)))
        .layer(middleware::from_fn(leftover::discard))
        .layer(middleware::from_fn_with_state(app, watched::watch))
        .layer(cors)
        .layer(middleware::map_response(tell_of_connection))
}

/// Who may read an answer may know how it came: pages see by that whether feeds share a connection.
async fn tell_of_connection(mut response: Response) -> Response {
    if let Some(origin) = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).cloned() {
        response.headers_mut().insert(HeaderName::from_static("timing-allow-origin"), origin);
    }
    response
}

fn may_be_compressed(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<Trickles>().is_none() && extensions.get::<AsItIs>().is_none()
}

fn server_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", only("GET,HEAD", get(root::welcome)))
        .route("/_up", only("GET,HEAD", get(root::up)))
        .route("/_uuids", only("GET", get(root::uuids)))
        .route("/_all_dbs", only("GET,HEAD", get(root::all_dbs)))
        .route("/_metrics", only("GET,HEAD", get(watched::metrics)))
        .route("/_active_tasks", only("GET,HEAD", get(replicate::active_tasks)))
        .route("/_replicate", only("POST", post(replicate::replicate)))
        .route("/_session", only("GET,HEAD,POST,DELETE", get(session::show).post(session::open).delete(session::close)))
}

fn database_routes() -> Router<Arc<App>> {
    let database = || {
        only(
            "DELETE,GET,HEAD,POST,PUT",
            get(database::info).put(database::create).delete(database::delete).post(document::post),
        )
    };
    Router::new()
        .route("/{database}", database())
        .route("/{database}/", database())
        .route("/{database}/_all_docs", only("GET,HEAD,POST", get(all_docs::by_query).post(all_docs::by_body)))
        .route("/{database}/_bulk_docs", only("POST", post(bulk::bulk_docs)))
        .route("/{database}/_bulk_get", only("POST", post(bulk::bulk_get)))
        .route("/{database}/_changes", only("GET,POST,HEAD", get(changes::by_query).post(changes::by_body)))
        .route("/{database}/_compact", only("POST", post(database::compact)))
        .route("/{database}/_ensure_full_commit", only("POST", post(database::ensure_full_commit)))
        .route("/{database}/_explain", only("POST", post(find::explain)))
        .route("/{database}/_find", only("POST", post(find::find)))
        .route("/{database}/_index", only("GET,POST", get(find::indexes).post(find::create_index)))
        .route("/{database}/_missing_revs", only("POST", post(bulk::missing_revs)))
        .route("/{database}/_purge", only("POST", post(database::purge)))
        .route("/{database}/_revs_diff", only("POST", post(bulk::revs_diff)))
        .route("/{database}/_revs_limit", only("PUT,GET", get(security::revs_limit).put(security::set_revs_limit)))
        .route("/{database}/_security", only("PUT,GET", get(security::security).put(security::set_security)))
        .route("/{database}/_snapshot", only("GET,HEAD", get(snapshot::get)))
}

fn document_routes() -> Router<Arc<App>> {
    let document = || {
        get(document::get).put(document::put).delete(document::delete).fallback(async |method: Method| {
            match method.as_str() {
                "COPY" | "POST" => Failure::not_implemented("This method of a document").into_response(),
                _ => method_not_allowed("DELETE,GET,HEAD,POST,PUT,COPY").await,
            }
        })
    };
    let attachment =
        || only("GET,HEAD,PUT,DELETE", get(attachment::get).put(attachment::put).delete(attachment::delete));
    Router::new()
        .route("/{database}/{document}", document())
        .route("/{database}/_design/{design}", document())
        .route("/{database}/_local/{local}", document())
        .route("/{database}/{document}/{*attachment}", attachment())
        .route("/{database}/_design/{design}/{*attachment}", attachment())
}

/// What CouchDB has and this server does not: that is said, once it is known that there is such a database.
fn absent_routes() -> Router<Arc<App>> {
    let of_server = || any(async || Failure::not_implemented("This part of a server"));
    let of_database = || any(async |_: Target| Failure::not_implemented("This part of a database"));
    let mut routes = Router::new();
    for name in ABSENT_OF_SERVER {
        for path in ["", "/", "/{*rest}"] {
            routes = routes.route(&format!("/{name}{path}"), of_server());
        }
    }
    for name in ABSENT_OF_DATABASE {
        routes = routes.route(&format!("/{{database}}/{name}"), of_database());
    }
    for name in ABSENT_OF_DESIGN {
        let path = format!("/{{database}}/_design/{{design}}/{name}");
        routes = routes.route(&path, of_database()).route(&format!("{path}/{{*rest}}"), of_database());
    }
    routes
}

const ABSENT_OF_SERVER: [&str; 9] = [
    "_cluster_setup",
    "_db_updates",
    "_dbs_info",
    "_membership",
    "_node",
    "_reshard",
    "_scheduler",
    "_search_analyze",
    "_utils",
];

const ABSENT_OF_DATABASE: [&str; 14] = [
    "_all_docs/queries",
    "_auto_purge",
    "_compact/{design}",
    "_dbcopy",
    "_design_docs",
    "_design_docs/queries",
    "_index/_bulk_delete",
    "_local_docs",
    "_local_docs/queries",
    "_partition/{*rest}",
    "_purged_infos_limit",
    "_shards",
    "_sync_shards",
    "_view_cleanup",
];

const ABSENT_OF_DESIGN: [&str; 8] = ["_info", "_list", "_nouveau", "_rewrite", "_search", "_show", "_update", "_view"];

/// The headers that CouchDB lets pages send and read.
fn cors(origins: &Origins, access: &Access) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::PUT, Method::POST, Method::HEAD, Method::DELETE])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::ORIGIN,
            header::RANGE,
            header::REFERER,
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("x-couch-full-commit"),
        ])
        .expose_headers([
            header::CACHE_CONTROL,
            header::CONTENT_TYPE,
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            header::SERVER,
        ])
        .max_age(Duration::from_secs(600));
    match origins {
        Origins::These(origins) => layer.allow_origin(origins.clone()).allow_credentials(true),
        // A page of any origin may ask, but must not borrow the session of a person who is logged in here. A server without
        // accounts has none to borrow, and clients that always send credentials, as PouchDB does, need the echo.
        Origins::Any => match access {
            Access::Open { .. } => layer.allow_origin(AllowOrigin::mirror_request()).allow_credentials(true),
            Access::Administrator(_) => layer.allow_origin(AllowOrigin::any()),
        },
    }
}
