//! The fuzz targets on stable Rust: the seeds are replayed, and no reader grows faster than its
//! input. `npm run fuzz` searches for inputs that break the same promises.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod growth;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::select;
use targets::TARGETS;

fn seeds(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn every_target_has_seeds_and_keeps_its_promises_on_them() {
    for (name, target) in TARGETS {
        let paths = seeds(name);
        assert!(paths.len() >= 3, "{name} has {} seeds", paths.len());
        for path in paths {
            let seed = fs::read(&path).unwrap();
            // It is also cut off, as a fuzzer would do first.
            for end in [seed.len(), seed.len() / 2, seed.len().saturating_sub(1)] {
                target(&seed[..end]);
            }
        }
    }
}

#[test]
fn every_target_has_a_binary_for_the_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let binary = fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(binary.contains(&format!("targets::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
    assert_eq!(fs::read_dir(folder.join("fuzz_targets")).unwrap().count(), TARGETS.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Seeds with random damage.
    #[test]
    fn damaged_seeds_keep_the_promises_too(
        choice in any::<prop::sample::Index>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..4), 0..3_usize), 1..4),
        token in select(vec!["", "\"model\":", "\r\n--b\r\n", "\n\n", "\"error\":", ",", "\\u", "null", "{", "]"]),
    ) {
        for (name, target) in TARGETS {
            let paths = seeds(name);
            let mut seed = fs::read(&paths[choice.index(paths.len())]).unwrap();
            for (at, bytes, removed) in &damages {
                let at = at.index(seed.len() + 1);
                let end = seed.len().min(at + removed);
                seed.splice(at..end, bytes.iter().copied().chain(token.bytes()));
            }
            target(&seed);
        }
    }
}
