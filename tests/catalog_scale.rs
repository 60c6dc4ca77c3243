//! The bench of the large inventory in small: that it counts what it claims to.

#[path = "../benches/catalog/scale.rs"]
mod scale;

use scale::Size;

#[test]
fn every_endpoint_and_principal_is_there_and_only_what_changed_is_published_anew() {
    for spec in [false, true] {
        let size = Size {
            endpoints: 400,
            principals: 500,
            steady: 1_000,
            spec,
            whole: true,
        };
        let figures = scale::run(size);
        assert_eq!((figures.endpoints, figures.settled), (400, 400));
        assert_eq!(figures.principals, 500);
        assert_eq!(figures.made_anew, 4, "one of a hundred was called");
        assert!(figures.restored && figures.saved_bytes > 0);
        for cost in [figures.admit, figures.arrive, figures.even, figures.skewed] {
            assert!(cost > 0.0);
        }
        assert!(
            figures.memory << 20 <= scale::budget(size) && scale::memory("VmHWM:") > 0,
            "{figures:?}"
        );
        let published = [
            figures.view_all,
            figures.view_some,
            figures.view_none,
            figures.view_day,
        ];
        assert!(
            published
                .iter()
                .chain([&figures.settle, &figures.save, &figures.restore])
                .all(|d| !d.is_zero())
        );
    }
}
