//! The checks. Each one lists the violations of its rule as text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::crate_tree::{CrateTree, Module};

/// Imports that do not lead to a lower floor. Also lists top-level modules that are on no floor,
/// and names on a floor without a module.
pub fn import_violations(tree: &CrateTree, floors: &[&[&str]]) -> Vec<String> {
    let floor_of = |module: &str| floors.iter().position(|floor| floor.contains(&module));
    let mut found = Vec::new();
    let top_level: BTreeSet<&str> =
        tree.files.keys().filter_map(|module| module.first()).map(String::as_str).collect();
    found.extend(
        top_level.iter().filter(|top| floor_of(top).is_none()).map(|top| format!("{top} is on no floor")),
    );
    let listed = floors.iter().flat_map(|floor| floor.iter().copied());
    found.extend(
        listed.filter(|name| !top_level.contains(name)).map(|name| format!("there is no module {name}")),
    );
    for (module, file) in &tree.files {
        for import in &file.imports {
            let (Some(from), Some(to)) = (module.first(), import.first()) else {
                found.push(format!("{} imports from the root", file.path));
                continue;
            };
            let is_lower = floor_of(to).zip(floor_of(from)).is_some_and(|(to, from)| to < from);
            if from != to && !is_lower {
                found.push(format!("{} imports {}", file.path, import.join("::")));
            }
        }
    }
    found
}

/// Files that import each other, directly or through other files.
pub fn circles(tree: &CrateTree) -> Vec<String> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        tree.files.keys().map(|module| (module, reached_from(tree, module))).collect();
    let is_in_a_circle =
        |module: &&Module| reached.get(*module).is_some_and(|reached| reached.contains(*module));
    let mut found = BTreeSet::new();
    for module in tree.files.keys().filter(is_in_a_circle) {
        let Some(from_here) = reached.get(module) else { continue };
        let circle =
            from_here.iter().filter(|other| reached.get(**other).is_some_and(|back| back.contains(module)));
        let files: Vec<&str> =
            circle.filter_map(|member| tree.files.get(*member)).map(|file| file.path.as_str()).collect();
        found.insert(files.join(", "));
    }
    found.into_iter().collect()
}

/// Every module that a file imports from, directly or through other files.
fn reached_from<'t>(tree: &'t CrateTree, start: &Module) -> BTreeSet<&'t Module> {
    let mut reached = BTreeSet::new();
    let mut pending: Vec<&Module> =
        tree.files.get(start).into_iter().flat_map(|file| &file.imports).collect();
    while let Some(module) = pending.pop() {
        if reached.insert(module) {
            pending.extend(tree.files.get(module).into_iter().flat_map(|file| &file.imports));
        }
    }
    reached
}

/// Types that are defined more than once.
pub fn duplicate_types(tree: &CrateTree) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in tree.files.values() {
        for name in &file.types {
            places.entry(name).or_default().push(&file.path);
        }
    }
    let duplicates = places.into_iter().filter(|(_, places)| places.len() > 1);
    duplicates.map(|(name, places)| format!("{name} in {}", places.join(", "))).collect()
}

/// Files with the same name. A `mod.rs` counts with the name of its folder.
pub fn colliding_file_names(tree: &CrateTree, allowed: &[&str]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (module, file) in &tree.files {
        if let Some(name) = module.last() {
            places.entry(name).or_default().push(&file.path);
        }
    }
    let colliding = places.into_iter().filter(|(name, places)| places.len() > 1 && !allowed.contains(name));
    colliding.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect()
}

/// Files with more than `most_lines` lines.
pub fn long_files(tree: &CrateTree, most_lines: usize) -> Vec<String> {
    let long = tree.files.values().filter(|file| file.lines > most_lines);
    long.map(|file| format!("{} has {} lines", file.path, file.lines)).collect()
}

/// Lines of comments that are wider than that, in the Rust files below these folders.
pub fn wide_comments(folders: &[PathBuf], most_columns: usize) -> Vec<String> {
    let files = folders.iter().flat_map(|folder| rust_files(folder));
    files
        .flat_map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            wide_comments_of(&path.display().to_string(), &text, most_columns)
        })
        .collect()
}

/// Lines of comments in this text that are wider than that. Code within comments is not wrapped.
pub fn wide_comments_of(name: &str, text: &str, most_columns: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (number, line) in text.lines().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
        let is_fence = comment.trim_start_matches(['/', '!']).trim_start().starts_with("```");
        is_code ^= is_fence;
        let columns = line.chars().count();
        if columns > most_columns && !is_code {
            found.push(format!("{name}:{}: {columns} columns", number + 1));
        }
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
