//! The importer itself, so that thousands of files can be imported without a process for each.

#![allow(dead_code, reason = "a part of the command")]

#[path = "../../src/bin/switchyard/import/fallback_lists.rs"]
mod fallback_lists;
#[path = "../../src/bin/switchyard/import/import_notes.rs"]
pub mod import_notes;
#[path = "../../src/bin/switchyard/import/key_table.rs"]
pub mod key_table;
#[path = "../../src/bin/switchyard/import/model_nodes.rs"]
mod model_nodes;
#[path = "../../src/bin/switchyard/import/model_rows.rs"]
mod model_rows;
#[path = "../../src/bin/switchyard/import/router_entries.rs"]
mod router_entries;
#[path = "../../src/bin/switchyard/import/row_providers.rs"]
mod row_providers;
#[path = "../../src/bin/switchyard/import/translate.rs"]
pub mod translate;
#[path = "../../src/bin/switchyard/import/value_checks.rs"]
mod value_checks;
#[path = "../../src/bin/switchyard/import/wildcard_rows.rs"]
mod wildcard_rows;
#[path = "../../src/bin/switchyard/import/yaml_tree.rs"]
pub mod yaml_tree;
