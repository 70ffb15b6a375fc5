//! A crate as its files, with their types and imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// A module as the names from the root of the crate: `["health", "gate"]`. The root is empty.
pub type Module = Vec<String>;

/// The files of a crate that are not tests, by module.
#[derive(Debug, Clone, Default)]
pub struct CrateTree {
    pub files: BTreeMap<Module, SourceFile>,
}

#[derive(Debug, Clone, Default)]
pub struct SourceFile {
    /// The path below `src`.
    pub path: String,
    pub lines: usize,
    /// Names of the structs, enums, unions, traits and type aliases that it defines.
    pub types: Vec<String>,
    /// The modules of the files that it imports from.
    pub imports: BTreeSet<Module>,
    /// Paths in the file before they are resolved: from the root, or from the module of the file.
    paths: Vec<Vec<String>>,
    documentation: String,
}

impl CrateTree {
    /// Reads the library in `folder`: `lib.rs` and every module that it declares outside of tests.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let load = |path: &Path| std::fs::read_to_string(folder.join(path)).ok();
        Self::load(&load)
    }

    /// Does the same with `load`, which returns a file by its path below `src`.
    pub fn load(load: &dyn Fn(&Path) -> Option<String>) -> Result<Self, String> {
        let mut tree = Self::default();
        tree.add(&Vec::new(), Path::new("lib.rs"), load)?;
        tree.resolve();
        Ok(tree)
    }

    /// The documentation in `lib.rs`.
    pub fn documentation_of_the_root(&self) -> String {
        self.files.get(&Vec::new()).map(|file| file.documentation.clone()).unwrap_or_default()
    }

    fn add(
        &mut self,
        module: &Module,
        path: &Path,
        load: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<(), String> {
        let text = load(path).ok_or_else(|| format!("{} cannot be read", path.display()))?;
        let parsed = syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut reader = Reader { nesting: Vec::new(), file: SourceFile::default(), children: Vec::new() };
        reader.visit_file(&parsed);
        let Reader { mut file, children, .. } = reader;
        file.path = path.display().to_string();
        file.lines = text.lines().count();
        file.documentation =
            text.lines().filter_map(|line| line.strip_prefix("//!")).collect::<Vec<_>>().join("\n");
        self.files.insert(module.clone(), file);
        for name in children {
            let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
                Some("lib" | "mod") => path.with_file_name(""),
                _ => path.with_extension(""),
            };
            let candidates: [PathBuf; 2] =
                [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
            let found = candidates.iter().find(|path| load(path).is_some());
            let found = found.ok_or_else(|| format!("{} declares {name}: no file", path.display()))?;
            let child = module.iter().cloned().chain([name]).collect();
            self.add(&child, found, load)?;
        }
        Ok(())
    }

    /// Finds the file that each path leads to.
    fn resolve(&mut self) {
        let modules: BTreeSet<Module> = self.files.keys().cloned().collect();
        for (module, file) in &mut self.files {
            let targets = file.paths.iter().filter_map(|path| target(path, module, &modules));
            file.imports = targets.filter(|target| target != module).collect();
        }
    }
}

/// The module of the file that a path leads to, if the path stays in the crate. It is the longest
/// beginning of the path that is a module.
fn target(path: &[String], from: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let first = path.first()?;
    let mut at = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.clone(),
        "super" => from.split_last()?.1.to_vec(),
        name => {
            // A path may begin with a module that this module declares. Every other name is in
            // scope through an import elsewhere.
            let child: Module = from.iter().cloned().chain([name.to_owned()]).collect();
            if !modules.contains(&child) {
                return None;
            }
            child
        }
    };
    for name in path.iter().skip(1) {
        match name.as_str() {
            "super" => {
                at.pop();
            }
            name => {
                let deeper: Module = at.iter().cloned().chain([name.to_owned()]).collect();
                if !modules.contains(&deeper) {
                    break;
                }
                at = deeper;
            }
        }
    }
    Some(at)
}

/// Visits the syntax tree of one file.
struct Reader {
    /// The inline modules around the current item.
    nesting: Vec<String>,
    file: SourceFile,
    /// Declared modules that have their own file.
    children: Vec<String>,
}

impl Reader {
    /// Records a path as it is written. Within an inline module, `super` leads to the file.
    fn note_path(&mut self, mut path: Vec<String>) {
        for _ in 0..self.nesting.len() {
            match path.first().map(String::as_str) {
                Some("super") => {
                    path.remove(0);
                }
                _ => break,
            }
        }
        self.file.paths.push(path);
    }

    fn note_use(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.note_use(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) => self.note_path(with(name.ident.to_string())),
            UseTree::Rename(rename) => self.note_path(with(rename.ident.to_string())),
            UseTree::Glob(_) => self.note_path(before.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_use(tree, before)),
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if attributes(item).iter().any(is_test) {
            return;
        }
        match item {
            Item::Mod(module) if module.content.is_none() => self.children.push(module.ident.to_string()),
            Item::Mod(module) => {
                self.nesting.push(module.ident.to_string());
                visit::visit_item(self, item);
                self.nesting.pop();
            }
            Item::Use(import) => self.note_use(&import.tree, &[]),
            _ => {
                let name = match item {
                    Item::Struct(item) => Some(&item.ident),
                    Item::Enum(item) => Some(&item.ident),
                    Item::Union(item) => Some(&item.ident),
                    Item::Trait(item) => Some(&item.ident),
                    Item::Type(item) => Some(&item.ident),
                    _ => None,
                };
                self.file.types.extend(name.map(ToString::to_string));
                visit::visit_item(self, item);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.note_path(names);
        }
        visit::visit_path(self, path);
    }

    /// Reads the input of a macro as items if possible, and else only for the paths in it.
    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        let text = invocation.tokens.to_string();
        match syn::parse_str::<syn::File>(&text) {
            Ok(file) => file.items.iter().for_each(|item| {
                // The items come from another parsed text, so they do not live as long as the file.
                let mut inner = Reader {
                    nesting: self.nesting.clone(),
                    file: SourceFile::default(),
                    children: Vec::new(),
                };
                inner.visit_item(item);
                self.file.types.append(&mut inner.file.types);
                self.file.paths.append(&mut inner.file.paths);
            }),
            Err(_) => paths_in(&text).into_iter().for_each(|path| self.note_path(path)),
        }
    }
}

/// The paths in tokens. There is a space between two tokens.
fn paths_in(tokens: &str) -> Vec<Vec<String>> {
    let tokens: Vec<&str> = tokens.split_whitespace().collect();
    let is_name = |token: &&str| {
        token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && token.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
    };
    let mut paths: Vec<Vec<String>> = Vec::new();
    let mut goes_on = false;
    for token in tokens {
        if token == "::" {
            goes_on = true;
        } else if is_name(&token) {
            match paths.last_mut().filter(|_| goes_on) {
                Some(path) => path.push(token.to_owned()),
                None => paths.push(vec![token.to_owned()]),
            }
            goes_on = false;
        } else {
            goes_on = false;
            paths.push(Vec::new());
        }
    }
    paths.retain(|path| path.len() > 1);
    paths
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
