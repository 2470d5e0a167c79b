//! The ways through the index that a selector leaves open.
//!
//! A plan is a tree of parts of the index whose documents hold all that match: scans of one path, intersections and unions.
//! It says nothing of sizes; whoever walks it takes the smallest part of an intersection first.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::{Condition, Selector, ValueRange};
use crate::index::Exclusions;
use crate::json::{TypeName, Value};
use crate::ordered::Map;
use crate::path::{IndexPath, Path};

/// Where the documents that match a selector are found.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// A superset of them; `None` if the index cannot narrow the search.
    pub source: Option<Source>,
    /// Whether a document matches if all postings by which the source found it were decided by [`PathScan::judge`].
    pub is_exact: bool,
}

/// A part of the index.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The documents with a posting in a scan.
    Scan(PathScan),
    /// The documents that are in all of these; there is at least one.
    All(Vec<Source>),
    /// The documents that are in one of these.
    Any(Vec<Source>),
    /// The documents with these ids.
    Ids(Vec<String>),
}

/// The postings of one path that lie in some ranges and meet some conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct PathScan {
    /// The path.
    pub path: IndexPath,
    /// The ranges, ascending and apart from each other.
    pub ranges: Vec<ValueRange>,
    /// What the value must meet; the ranges follow from it.
    pub conditions: Vec<Condition>,
    /// Whether the ranges are those of several scans, of which a value must meet one. Then there are no conditions: the ranges
    /// decide of a whole value, and nothing of one that was cut.
    pub is_united: bool,
}

impl Plan {
    /// The plan for `selector`, in an index that lacks what `exclusions` keep out.
    #[must_use]
    pub fn of(selector: &Selector, exclusions: &Exclusions) -> Self {
        Planner { exclusions }.plan(selector, &IndexPath::default())
    }

    /// The scan of `path` that every match is found by, narrowed by what the plan asks of that path; `None` if the index
    /// does not have the path.
    #[must_use]
    pub fn scan_of(&self, path: &Path, exclusions: &Exclusions) -> Option<PathScan> {
        let path = Planner { exclusions }.posted(&IndexPath::default(), path)?;
        let parts = match &self.source {
            Some(Source::All(parts)) => parts.as_slice(),
            Some(part) => core::slice::from_ref(part),
            None => &[],
        };
        let known = parts.iter().find_map(|part| match part {
            Source::Scan(scan) if scan.path == path => Some(scan.clone()),
            _ => None,
        });
        Some(known.unwrap_or_else(|| PathScan::everything(path)))
    }

    fn unknown() -> Self {
        Self { source: None, is_exact: false }
    }

    fn exact(source: Source) -> Self {
        Self { source: Some(source), is_exact: true }
    }
}

struct Planner<'index> {
    exclusions: &'index Exclusions,
}

impl Planner<'_> {
    /// The plan for what is asked of the value at `at`.
    fn plan(&self, selector: &Selector, at: &IndexPath) -> Plan {
        match selector {
            Selector::And(_) => self.all(selector, at),
            Selector::Or(parts) => self.any(parts, at),
            Selector::Field(path, condition) => self.field(path, condition, at),
        }
    }

    /// All conjuncts: those on one value become one scan.
    fn all(&self, selector: &Selector, at: &IndexPath) -> Plan {
        let mut conjuncts = Vec::new();
        collect(selector, &mut conjuncts);
        let (mut parts, mut scans) = (Vec::new(), ScansByPath::default());
        let mut is_exact = true;
        for conjunct in conjuncts {
            let plan = self.plan(conjunct, at);
            is_exact &= plan.is_exact;
            match plan.source {
                Some(Source::Scan(scan)) if is_of_value(conjunct) => scans.add(scan),
                Some(Source::All(more)) => parts.extend(more),
                source => parts.extend(source),
            }
        }
        parts.splice(0..0, scans.of_each_path(intersected));
        // Of an array, different elements can meet what one must meet.
        is_exact &= parts.len() < 2 || !at.has_elements();
        let source = if parts.len() > 1 { Some(Source::All(parts)) } else { parts.pop() };
        Plan { source, is_exact }
    }

    fn any(&self, parts: &[Selector], at: &IndexPath) -> Plan {
        let plans: Vec<Plan> = parts.iter().map(|part| self.plan(part, at)).collect();
        let is_exact = plans.iter().all(|plan| plan.is_exact);
        let sources: Option<Vec<Source>> = plans.into_iter().map(|plan| plan.source).collect();
        Plan { is_exact: is_exact && sources.is_some(), source: sources.map(any_of) }
    }

    fn field(&self, path: &Path, condition: &Condition, at: &IndexPath) -> Plan {
        if at.is_empty() && path.is_member("_id") {
            return by_id(condition);
        }
        let Some(path) = self.posted(at, path) else { return Plan::unknown() };
        let equal = |path: IndexPath, value: &Value| scan(path, Condition::Equal(value.clone()));
        match condition {
            Condition::In(values) => {
                let elements = values.iter().filter_map(|value| equal(path.elements(), value));
                let all = scan(path.clone(), condition.clone()).into_iter().chain(elements);
                Plan::exact(any_of(all.collect()))
            }
            Condition::All(values) => {
                let elements = values.iter().filter_map(|value| equal(path.elements(), value));
                match values.as_slice() {
                    [] => Plan::exact(Source::Any(Vec::new())),
                    // An array has all of an array if it has it as its element, or is it.
                    [only @ Value::Array(_)] => {
                        let itself = equal(path.clone(), only);
                        Plan::exact(Source::Any(elements.chain(itself).collect()))
                    }
                    // What one inner array must have, several can have between them.
                    several => Plan {
                        is_exact: several.len() == 1 || !path.has_elements(),
                        source: Some(Source::All(elements.collect())),
                    },
                }
            }
            Condition::ElementMatch(selector) | Condition::AllMatch(selector) => {
                let plan = self.plan(selector, &path.elements());
                match plan.source {
                    Some(source) => {
                        let is_exact = plan.is_exact && matches!(condition, Condition::ElementMatch(_));
                        Plan { source: Some(source), is_exact }
                    }
                    None => scan(path, condition.clone()).map_or_else(Plan::unknown, Plan::exact),
                }
            }
            _ => scan(path, condition.clone()).map_or_else(Plan::unknown, Plan::exact),
        }
    }

    /// The path in the index; `None` if the index does not have it.
    fn posted(&self, at: &IndexPath, path: &Path) -> Option<IndexPath> {
        // What stands at the top under a name with an underscore is not posted.
        let is_special = at.is_empty() && path.names().first().is_none_or(|name| name.starts_with('_'));
        let path = at.join(path);
        (!is_special && !path.is_unposted() && !self.exclusions.cover(path.names())).then_some(path)
    }
}

/// The parts that must all hold, whatever their nesting.
fn collect<'selector>(selector: &'selector Selector, conjuncts: &mut Vec<&'selector Selector>) {
    match selector {
        Selector::And(parts) => parts.iter().for_each(|part| collect(part, conjuncts)),
        other => conjuncts.push(other),
    }
}

/// Whether the conjunct asks something of the one value at its path, rather than of elements.
fn is_of_value(conjunct: &Selector) -> bool {
    matches!(conjunct, Selector::Field(_, condition) if !matches!(
        condition,
        Condition::In(_) | Condition::All(_) | Condition::ElementMatch(_) | Condition::AllMatch(_)
    ))
}

/// Scans, those of one path together, in the order in which the paths came.
#[derive(Default)]
struct ScansByPath {
    scans: Vec<Vec<PathScan>>,
    places: Map<IndexPath, usize>,
}

impl ScansByPath {
    fn add(&mut self, scan: PathScan) {
        let place = self.places.get(&scan.path).copied();
        match place.and_then(|place| self.scans.get_mut(place)) {
            Some(known) => known.push(scan),
            None => {
                self.places.insert(scan.path.clone(), self.scans.len());
                self.scans.push(vec![scan]);
            }
        }
    }

    /// One scan for each path, made of all that it has.
    fn of_each_path(self, made: fn(Vec<PathScan>) -> Option<PathScan>) -> Vec<Source> {
        self.scans.into_iter().filter_map(made).map(Source::Scan).collect()
    }
}

/// The scan of what lies in all of these scans of one path.
fn intersected(mut scans: Vec<PathScan>) -> Option<PathScan> {
    let lists = scans.iter_mut().map(|scan| core::mem::take(&mut scan.ranges)).collect();
    let ranges = ValueRange::intersection_of(lists);
    let path = scans.first()?.path.clone();
    let conditions = scans.into_iter().flat_map(|scan| scan.conditions).collect();
    Some(PathScan { path, ranges, conditions, is_united: false })
}

/// The scan of what lies in one of these scans of one path.
fn united(mut scans: Vec<PathScan>) -> Option<PathScan> {
    if scans.len() == 1 {
        return scans.pop();
    }
    let path = scans.first()?.path.clone();
    let ranges = ValueRange::disjoint(scans.into_iter().flat_map(|scan| scan.ranges).collect());
    Some(PathScan { path, ranges, conditions: Vec::new(), is_united: true })
}

/// The documents in one of `parts`. Scans of one path become one, which reads no posting twice.
fn any_of(parts: Vec<Source>) -> Source {
    let (mut scans, mut others) = (ScansByPath::default(), Vec::new());
    sort_out(parts, &mut scans, &mut others);
    let mut all = scans.of_each_path(united);
    all.append(&mut others);
    match all.pop() {
        Some(only) if all.is_empty() => only,
        last => {
            all.extend(last);
            Source::Any(all)
        }
    }
}

/// Tells the scans whose ranges decide from other parts, whatever their nesting.
fn sort_out(parts: Vec<Source>, scans: &mut ScansByPath, others: &mut Vec<Source>) {
    for part in parts {
        match part {
            Source::Scan(scan) if scan.conditions.iter().all(ValueRange::decides) => scans.add(scan),
            Source::Any(more) => sort_out(more, scans, others),
            other => others.push(other),
        }
    }
}

/// The documents that an id can mean, if it is asked for by name.
fn by_id(condition: &Condition) -> Plan {
    let ids = match condition {
        Condition::Equal(Value::String(id)) => vec![id.clone()],
        Condition::In(values) => values
            .iter()
            .filter_map(|value| if let Value::String(id) = value { Some(id.clone()) } else { None })
            .collect(),
        _ => return Plan::unknown(),
    };
    Plan::exact(Source::Ids(ids))
}

/// The scan that finds every value of `path` for which `condition` holds at the path itself.
fn scan(path: IndexPath, condition: Condition) -> Option<Source> {
    let ranges = ValueRange::of(&condition)?;
    Some(Source::Scan(PathScan { path, ranges, conditions: vec![condition], is_united: false }))
}

impl PathScan {
    /// All postings of `path`.
    #[must_use]
    pub fn everything(path: IndexPath) -> Self {
        Self { path, ranges: vec![ValueRange::all()], conditions: Vec::new(), is_united: false }
    }

    /// The types of the values that the scan finds, if it asks for nothing else: how many these are is kept.
    #[must_use]
    pub fn types(&self) -> Option<Vec<TypeName>> {
        if self.is_united {
            return None;
        }
        let mut types = TypeName::ALL.to_vec();
        for condition in &self.conditions {
            match condition {
                Condition::Exists(true) => {}
                Condition::Type(name) => types.retain(|known| known == name),
                _ => return None,
            }
        }
        Some(types)
    }
}
