//! Both forms of a picture can be read, whatever the names in the document are.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use switchyard::drawing::mermaid::mermaid;
use switchyard::drawing::picture::{Picture, ShownState};
use switchyard::drawing::svg::svg;
use switchyard::routes::compile;

/// Texts that have a meaning in Mermaid, in HTML or in XML.
const HOSTILE: [&str; 16] = [
    "\"]; A --> B",
    "`md`",
    "%%{init: {\"theme\": \"dark\"}}%%",
    "%% comment",
    "</text><script>alert(1)</script>",
    "]]>",
    "&amp; &#0; #35; &",
    "end",
    "style: x #a;",
    "a\nb\r\nc\td",
    "\u{0}\u{7}\u{1b}[31m\u{7f}",
    "\u{2028}\u{202e}\u{feff}\u{ffff}",
    "🚂 日本語 é",
    "--- | \\ ---",
    "---\ntitle: x\n---",
    "click A href \"javascript:x\"",
];

/// Text that a condition, a model or a tag may be.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => "[a-z]{1,8}",
        4 => proptest::sample::select(HOSTILE.to_vec()).prop_map(str::to_owned),
        2 => any::<String>().prop_map(|text| format!("x{}", text.replace('$', ""))),
        1 => "[a-z]{490,500}",
    ]
}

/// A name that is valid and may have a meaning in Mermaid. `kind` keeps those of models and
/// deployments apart.
fn name(kind: &'static str) -> impl Strategy<Value = String> {
    let names =
        prop_oneof!["[a-z]{1,8}", "[A-Za-z0-9._:/@+-]{1,120}", "(end|style:|click|subgraph|--|:::|x@)"];
    names.prop_map(move |name| format!("{name}{kind}"))
}

fn document() -> impl Strategy<Value = Value> {
    let node = (
        proptest::sample::select(vec!["priority", "weighted", "round_robin", "latency", "match"]),
        proptest::collection::vec((any::<prop::sample::Index>(), text()), 1..4),
        proptest::option::of(any::<prop::sample::Index>()),
    );
    (
        proptest::collection::btree_map(name("-d"), text(), 1..6),
        proptest::collection::btree_map(name("-m"), node, 1..6),
        proptest::collection::vec((text(), text(), any::<prop::sample::Index>()), 0..4),
    )
        .prop_map(|(deployments, nodes, rules)| {
            let names: Vec<&String> = deployments.keys().collect();
            let models: Vec<&String> = nodes.keys().collect();
            let mut all = Map::new();
            for (name, (strategy, targets, edge)) in &nodes {
                let targets: Vec<(&str, &String)> =
                    targets.iter().map(|(index, text)| (index.get(&names).as_str(), text)).collect();
                let first = targets[0].0;
                let mut node = if *strategy == "match" {
                    let cases: Vec<Value> = targets
                        .iter()
                        .map(|(to, text)| json!({ "when": { "header": { "x-a": text } }, "use": to }))
                        .collect();
                    json!({ "strategy": strategy, "cases": cases, "else": first })
                } else {
                    let to: std::collections::BTreeSet<&str> = targets.iter().map(|(to, _)| *to).collect();
                    json!({ "strategy": strategy, "targets": to })
                };
                if let Some(index) = edge {
                    node["on"] = json!({ "timeout": { "targets": [index.get(&names)] } });
                }
                all.insert(name.clone(), node);
            }
            let deployments: Map<String, Value> = deployments
                .iter()
                .map(|(name, text)| {
                    let deployment =
                        json!({ "provider": "openai", "api_key": "${KEY}", "model": text, "tags": [text] });
                    (name.clone(), deployment)
                })
                .collect();
            let rules: Vec<Value> = rules
                .iter()
                .map(|(value, name, index)| {
                    json!({ "when": { "metadata": { name.as_str(): value } }, "use": index.get(&models) })
                })
                .collect();
            json!({ "version": 1, "deployments": deployments, "models": all, "rules": rules })
        })
}

/// Checks Mermaid text against the part of its grammar that is used.
fn check_mermaid(text: &str) -> Result<(usize, usize), String> {
    let mut lines = text.lines();
    let head = (lines.next().unwrap_or_default(), lines.next());
    if !head.0.starts_with("%% routes ") || head.1 != Some("flowchart LR") {
        return Err(format!("{head:?}"));
    }
    let is_id = |id: &str| {
        let mut characters = id.chars();
        characters.next().is_some_and(|first| "rsnd".contains(first))
            && characters.as_str().parse::<usize>().is_ok()
    };
    let is_label = |label: &str| {
        let rest = label.replace("<br/>", "");
        // Numbers of characters are the only things with a `#` or a `;`.
        let entities_are_numbers = rest.split('#').skip(1).all(|part| {
            part.split_once(';').is_some_and(|(number, _)| number.parse::<u32>().is_ok_and(|n| n < 128))
        });
        let plain: String =
            rest.split('#').map(|part| part.split_once(';').map_or(part, |(_, rest)| rest)).collect();
        entities_are_numbers
            && !plain.contains(['"', '<', '>', '&', '`', '%', '{', '}', ';', ':', '\\'])
            && !plain.chars().any(char::is_control)
    };
    let (mut nodes, mut edges) = (0, 0);
    for line in lines {
        let line = line.strip_prefix("  ").ok_or_else(|| format!("no indent: {line}"))?;
        if line.starts_with("classDef ") {
            continue;
        }
        let (id, rest) = line.split_at(line.find([' ', '{', '[', '(']).unwrap_or(line.len()));
        let arrow = rest.strip_prefix(" -->").or_else(|| rest.strip_prefix(" -.->"));
        let is_good = if let Some(rest) = arrow {
            edges += 1;
            let end = match rest.strip_prefix("|\"") {
                Some(rest) => {
                    rest.split_once("\"| ").filter(|(label, _)| is_label(label)).map(|(_, end)| end)
                }
                None => rest.strip_prefix(' '),
            };
            end.is_some_and(is_id)
        } else {
            nodes += 1;
            let brackets =
                [("{{\"", "\"}}"), ("[[\"", "\"]]"), ("([\"", "\"])"), ("(\"", "\")"), ("[\"", "\"]")];
            brackets.iter().any(|(open, close)| {
                let rest = rest.strip_prefix(open).and_then(|rest| rest.split_once(close));
                rest.is_some_and(|(label, class)| {
                    is_label(label) && (class.is_empty() || class.starts_with(":::"))
                })
            })
        };
        if !is_good || !is_id(id) {
            return Err(line.to_owned());
        }
    }
    Ok((nodes, edges))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_document_that_compiles_has_a_picture_that_can_be_read(
        document in document(),
        state in proptest::option::of(proptest::sample::select(ShownState::ALL.to_vec())),
    ) {
        let compiled = compile(&document.to_string(), &|_| Some("key".to_owned()));
        prop_assert!(compiled.is_ok(), "{:?}", compiled.err());
        let compiled = compiled.unwrap();
        let picture = Picture::of(&compiled.graph, &|_| state);
        let text = mermaid(&picture);
        let counted = check_mermaid(&text);
        prop_assert_eq!(counted, Ok((picture.nodes.len(), picture.edges.len())), "{}", text);
        let text = svg(&picture);
        let read = roxmltree::Document::parse(&text);
        prop_assert!(read.is_ok(), "{:?} in {}", read, text);
        let read = read.unwrap();
        let count = |name: &str| read.descendants().filter(|element| element.has_tag_name(name)).count();
        prop_assert_eq!(count("g"), picture.nodes.len());
        // The heads of arrows are two paths more.
        prop_assert_eq!(count("path"), picture.edges.len() + 2);
        prop_assert_eq!(count("script"), 0);
        // `NaN` and `inf` would be letters that no path has.
        let places = read.descendants().flat_map(|element| {
            ["x", "y", "width", "height", "d"].into_iter().filter_map(move |name| element.attribute(name))
        });
        for place in places {
            prop_assert!(!place.contains(['a', 'n', 'i']), "{}", place);
        }
    }
}

/// A grammar that accepts anything would prove nothing.
#[test]
fn the_grammar_refuses_texts_that_are_not_escaped() {
    let good = "%% routes 1\nflowchart LR\n  n0([\"a#34;<br/>b\"]):::drained\n  n0 -.->|\"x\"| d1\n";
    assert_eq!(check_mermaid(good), Ok((1, 1)));
    for bad in [
        "flowchart LR\n",
        "%% routes 1\nflowchart LR\n  n0[\"a\"]; B\"]\n",
        "%% routes 1\nflowchart LR\n  n0[\"#x;\"]\n",
        "%% routes 1\nflowchart LR\n  n0[\"<b>\"]\n",
        "%% routes 1\nflowchart LR\n  n0 --> end\n",
        "%% routes 1\nflowchart LR\n  n0[\"a\nb\"]\n",
    ] {
        assert!(check_mermaid(bad).is_err(), "{bad}");
    }
}

#[test]
fn documents_with_hundreds_of_deployments_have_a_picture() {
    let names: Vec<String> = (0..200).map(|index| format!("deployment-{index}")).collect();
    let deployments: Map<String, Value> = names
        .iter()
        .map(|name| (name.clone(), json!({ "provider": "openai", "api_key": "${KEY}", "model": name })))
        .collect();
    let models: Map<String, Value> = names
        .chunks(4)
        .enumerate()
        .map(|(index, targets)| {
            (format!("model-{index}"), json!({ "targets": targets, "on": { "timeout": names[index] } }))
        })
        .collect();
    let document = json!({ "version": 1, "deployments": deployments, "models": models });
    let compiled = compile(&document.to_string(), &|_| Some("key".to_owned())).unwrap();
    let picture = Picture::of(&compiled.graph, &|_| None);
    assert_eq!((picture.nodes.len(), picture.edges.len()), (250, 250));
    let text = svg(&picture);
    let read = roxmltree::Document::parse(&text).unwrap();
    let boxes = |element: &roxmltree::Node<'_, '_>| element.has_tag_name("g");
    assert_eq!(read.descendants().filter(boxes).count(), 250);
    assert_eq!(check_mermaid(&mermaid(&picture)), Ok((250, 250)));
}
