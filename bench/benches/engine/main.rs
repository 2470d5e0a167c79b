//! The cases, timed natively: `cargo bench -p firkin-bench`, and behind `--` a part of their ids, to run these alone.
#![allow(missing_docs, reason = "criterion's macro makes public functions")]

mod cpu_time;

use std::cell::OnceCell;
use std::time::Duration;

use cpu_time::{CpuTime, cpu_time};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use firkin_bench::fixture::Fixture;
use firkin_bench::{DOCUMENTS, Work, cases};

fn engine(criterion: &mut Criterion<CpuTime>) {
    let fixture = OnceCell::new();
    for case in cases::all() {
        let mut group = criterion.benchmark_group(case.group);
        if case.group == "bulk" {
            group.sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(2));
        }
        // What the filter leaves out is not set up.
        let mut work = None;
        group.bench_function(case.name, |bencher| {
            let work = work.get_or_insert_with(|| {
                let mut work = (case.set_up)(fixture.get_or_init(|| Fixture::new(DOCUMENTS)));
                assert!(work.is_right(), "{} answers what it should", case.id());
                work
            });
            bencher.iter_custom(|iterations| time(work, iterations));
        });
    }
}

fn time(work: &mut Work, iterations: u64) -> Duration {
    let mut time = Duration::ZERO;
    if work.has_input() {
        for _ in 0..iterations {
            work.prepare();
            let start = cpu_time();
            work.run();
            time += cpu_time() - start;
        }
    } else {
        let start = cpu_time();
        (0..iterations).for_each(|_| work.run());
        time = cpu_time() - start;
    }
    time
}

/// Short enough for a minute in all; a change of a few percent still shows.
fn settings() -> Criterion<CpuTime> {
    Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .nresamples(10_000)
        .without_plots()
}

criterion_group! { name = benches; config = settings(); targets = engine }
criterion_main!(benches);
