//! Every case runs and answers what it should, on fewer documents than are timed.

use firkin_bench::cases;
use firkin_bench::documents;
use firkin_bench::fixture::Fixture;

const DOCUMENTS: usize = 500;

#[test]
fn every_case_answers_what_it_should_again_and_again() {
    let fixture = Fixture::new(DOCUMENTS);
    for case in cases::all() {
        let mut work = (case.set_up)(&fixture);
        for time in 0..3 {
            assert!(work.is_right(), "{}, time {time}", case.id());
        }
    }
}

#[test]
fn ids_of_cases_differ() {
    let mut ids: Vec<String> = cases::all().iter().map(firkin_bench::Case::id).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn documents_are_about_as_long_as_they_should_be_and_the_same_each_time() {
    let lengths: Vec<usize> = (0..DOCUMENTS).map(|place| documents::text(place, DOCUMENTS, 0).len()).collect();
    let mean = lengths.iter().sum::<usize>() / DOCUMENTS;
    assert!((760..=840).contains(&mean), "{mean} bytes");
    assert_eq!(documents::text(7, DOCUMENTS, 1), documents::text(7, DOCUMENTS, 1));
}
