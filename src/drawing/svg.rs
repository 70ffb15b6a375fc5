//! Pictures as SVG. The places of boxes and arrows come from a port of dagre, the library with
//! which Mermaid draws.

use std::collections::BTreeMap;
use std::fmt::Write;

use dagre::graph::{Graph, GraphOptions};
use dagre::layout::types::LabelPos;
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, RankDir};

use super::picture::{Arrow, ArrowKind, BoxKind, Picture, PictureBox, ShownState};
use super::shortened;

/// The most characters of a line in a box, and of the text at an arrow.
const MOST_IN_BOX: usize = 36;
const MOST_AT_ARROW: usize = 44;

/// The width of a character: more than that of most fonts, so that texts stay in their boxes.
const CHARACTER: f64 = 7.4;
const LINE: f64 = 18.0;
const PADDING: f64 = 12.0;

/// What all pictures begin with. The colours are those of GitHub, in its light and its dark theme.
const STYLE: &str = r#"  <style>
    .ground { fill: #ffffff; }
    .box { fill: #f6f8fa; stroke: #57606a; }
    .rule { fill: #fbefff; stroke: #8250df; }
    .deployment { fill: #ffffff; }
    .serving { fill: #dafbe1; stroke: #1a7f37; }
    .probation { fill: #fff8c5; stroke: #9a6700; }
    .ejected { fill: #ffebe9; stroke: #cf222e; }
    .drained { fill: #ddf4ff; stroke: #0969da; }
    .disabled { fill: #eaeef2; stroke: #6e7781; stroke-dasharray: 3 3; }
    .line { fill: none; stroke: #57606a; stroke-width: 1.4; }
    .on { stroke: #cf222e; stroke-dasharray: 5 4; }
    .head { fill: #57606a; }
    .head-on { fill: #cf222e; }
    .halo { fill: #ffffff; opacity: 0.85; }
    text { fill: #1f2328; font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; text-anchor: middle; }
    .name { font-weight: 600; }
    .soft { fill: #57606a; }
    .says-on { fill: #cf222e; }
    @media (prefers-color-scheme: dark) {
      .ground, .halo { fill: #0d1117; }
      .box { fill: #161b22; stroke: #8b949e; }
      .rule { fill: #271052; stroke: #a371f7; }
      .deployment { fill: #0d1117; }
      .serving { fill: #033a16; stroke: #3fb950; }
      .probation { fill: #341a00; stroke: #d29922; }
      .ejected { fill: #490202; stroke: #f85149; }
      .drained { fill: #051d4d; stroke: #58a6ff; }
      .disabled { fill: #21262d; stroke: #8b949e; }
      .line { stroke: #8b949e; }
      .on { stroke: #f85149; }
      .head { fill: #8b949e; }
      .head-on, .says-on { fill: #f85149; }
      text { fill: #e6edf3; }
      .soft { fill: #8b949e; }
    }
  </style>
  <defs>
    <marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker>
    <marker id="head-on" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head-on" d="M0 0L8 4L0 8z"/></marker>
  </defs>
"#;

/// The picture as SVG.
pub fn svg(picture: &Picture) -> String {
    let mut graph = arranged(picture);
    dagre::layout(
        &mut graph,
        Some(LayoutOptions {
            rankdir: RankDir::LR,
            nodesep: 22.0,
            edgesep: 14.0,
            ranksep: 60.0,
            marginx: 16.0,
            marginy: 16.0,
            ..LayoutOptions::default()
        }),
    );
    let columns = Columns::of(picture, &graph);
    let mut body = String::new();
    let (mut width, mut height) = (0.0_f64, 0.0_f64);
    for (place, arrow) in picture.edges.iter().enumerate() {
        let Some(found) = graph.edge(&arrow.from, &arrow.to, Some(&place.to_string())) else { continue };
        let way = way_of(&graph, &columns, arrow, found);
        for (x, y) in &way {
            (width, height) = (width.max(*x), height.max(*y));
        }
        write_arrow(&mut body, arrow, found, &way);
    }
    for found in &picture.nodes {
        let Some(NodeLabel { x: Some(x), y: Some(y), width: wide, height: high, .. }) = graph.node(&found.id)
        else {
            continue;
        };
        write_box(&mut body, found, (*x, *y), (*wide, *high));
        (width, height) = (width.max(x + wide / 2.0), height.max(y + high / 2.0));
    }
    let (width, height) = ((width + 16.0).ceil(), (height + 16.0).ceil());
    let count = picture.nodes.len();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\">\n  <title>Routes {}: {count} boxes</title>\n{STYLE}  \
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n{body}</svg>\n",
        escaped(&picture.version)
    )
}

/// The picture as the library takes it, with the sizes of all texts.
fn arranged(picture: &Picture) -> Graph<NodeLabel, EdgeLabel> {
    let mut graph = Graph::with_options(GraphOptions { directed: true, multigraph: true, compound: false });
    for found in &picture.nodes {
        let lines = lines_of(found);
        let widest = lines.iter().map(|line| width_of(line)).fold(0.0, f64::max);
        #[expect(clippy::cast_precision_loss, reason = "a few lines")]
        let height = lines.len() as f64 * LINE + PADDING;
        let size = NodeLabel { width: widest + 2.0 * PADDING, height, ..NodeLabel::default() };
        graph.set_node(found.id.clone(), Some(size));
    }
    for (place, arrow) in picture.edges.iter().enumerate() {
        let label = label_of(arrow);
        let size = if label.is_empty() { (0.0, 0.0) } else { (width_of(&label) + 6.0, LINE) };
        let edge =
            EdgeLabel { width: size.0, height: size.1, labelpos: LabelPos::Center, ..EdgeLabel::default() };
        // Two arrows may have the same ends.
        graph.set_edge(&arrow.from, &arrow.to, Some(edge), Some(&place.to_string()));
    }
    graph
}

fn lines_of(found: &PictureBox) -> Vec<String> {
    let state = found.state.filter(|state| *state != ShownState::Serving).map(ShownState::name);
    let lines =
        [found.name.as_str()].into_iter().chain(found.details.iter().map(String::as_str)).chain(state);
    lines.map(|line| shortened(line, MOST_IN_BOX)).collect()
}

fn label_of(arrow: &Arrow) -> String {
    shortened(&arrow.label, MOST_AT_ARROW)
}

/// About the width of a text. Characters beyond those of European languages are wider.
fn width_of(text: &str) -> f64 {
    text.chars().map(|character| if character < '\u{1100}' { CHARACTER } else { 2.0 * CHARACTER }).sum()
}

fn write_box(body: &mut String, found: &PictureBox, (x, y): (f64, f64), (width, height): (f64, f64)) {
    let (class, radius) = match found.kind {
        BoxKind::Rule | BoxKind::Settings => ("box rule", 3.0),
        BoxKind::Model => ("box", height / 2.0),
        BoxKind::InlineNode => ("box", 8.0),
        BoxKind::Deployment => ("box deployment", 3.0),
    };
    let state = found.state.map(|state| format!(" {}", state.name())).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(
        body,
        "  <g><title>{}</title><rect class=\"{class}{state}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" \
         height=\"{height:.1}\" rx=\"{:.1}\"/>",
        escaped(&shortened(&found.name, 1_000)),
        x - width / 2.0,
        y - height / 2.0,
        radius.min(18.0),
    );
    let mut line_at = y - height / 2.0 + PADDING / 2.0 + 13.0;
    for (place, line) in lines_of(found).iter().enumerate() {
        let class = if place == 0 { "name" } else { "soft" };
        let _ = writeln!(
            body,
            "    <text class=\"{class}\" x=\"{x:.1}\" y=\"{line_at:.1}\">{}</text>",
            escaped(line)
        );
        line_at += LINE;
    }
    body.push_str("  </g>\n");
}

/// Half of the greatest width in each column of boxes, by the middle of the column.
struct Columns(BTreeMap<i64, f64>);

impl Columns {
    fn of(picture: &Picture, graph: &Graph<NodeLabel, EdgeLabel>) -> Self {
        let mut columns = BTreeMap::new();
        for place in picture.nodes.iter().filter_map(|found| graph.node(&found.id)) {
            let half = columns.entry(Self::key(place.x.unwrap_or_default())).or_insert(0.0_f64);
            *half = half.max(place.width / 2.0);
        }
        Self(columns)
    }

    #[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates")]
    fn key(x: f64) -> i64 {
        x.round() as i64
    }

    /// Half of the width of the column at `x`; 0 if there is none.
    fn half(&self, x: f64) -> f64 {
        self.0.get(&Self::key(x)).copied().unwrap_or_default()
    }
}

/// The points of an arrow: from the right side of a box to the left side of another one, and
/// between them what the layout keeps free. It is level as wide as a column is, so that it crosses
/// no box.
fn way_of(
    graph: &Graph<NodeLabel, EdgeLabel>,
    columns: &Columns,
    arrow: &Arrow,
    found: &EdgeLabel,
) -> Vec<(f64, f64)> {
    let mut way = Vec::new();
    let place_of = |id: &str| graph.node(id).and_then(|place| Some((place.x?, place.y?, place.width / 2.0)));
    if let Some((x, y, half)) = place_of(&arrow.from) {
        way.extend([(x + half, y), (x + columns.half(x), y)]);
    }
    // The ends are where a straight line would meet the boxes.
    if let [_, between @ .., _] = found.points.as_slice() {
        for point in between {
            let half = columns.half(point.x);
            way.extend([(point.x - half, point.y), (point.x + half, point.y)]);
        }
    }
    if let Some((x, y, half)) = place_of(&arrow.to) {
        way.extend([(x - columns.half(x), y), (x - half, y)]);
    }
    way.dedup();
    way
}

fn write_arrow(body: &mut String, arrow: &Arrow, found: &EdgeLabel, way: &[(f64, f64)]) {
    let (line, head, says) = match arrow.kind {
        ArrowKind::On => ("line on", "head-on", "says-on"),
        ArrowKind::Rule | ArrowKind::Target => ("line", "head", "soft"),
    };
    let _ = writeln!(body, "  <path class=\"{line}\" d=\"{}\" marker-end=\"url(#{head})\"/>", path_of(way));
    let label = label_of(arrow);
    let (Some(x), Some(y), false) = (found.x, found.y, label.is_empty()) else { return };
    let width = width_of(&label);
    let _ = writeln!(
        body,
        "  <rect class=\"halo\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{LINE:.1}\"/><text \
         class=\"{says}\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
        x - width / 2.0,
        y - LINE / 2.0,
        y + 4.0,
        escaped(&label)
    );
}

/// A line through the points that is level at each of them. Columns lie from left to right, so that
/// no line turns back.
fn path_of(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    let Some(((first_x, first_y), rest)) = points.split_first() else { return path };
    // Writing to a string cannot fail.
    let _ = write!(path, "M{first_x:.1} {first_y:.1}");
    let (mut last_x, mut last_y) = (first_x, first_y);
    for (x, y) in rest {
        let middle = f64::midpoint(*last_x, *x);
        if (y - last_y).abs() < 0.05 {
            let _ = write!(path, "H{x:.1}");
            (last_x, last_y) = (x, y);
            continue;
        }
        let _ = write!(path, "C{middle:.1} {last_y:.1} {middle:.1} {y:.1} {x:.1} {y:.1}");
        (last_x, last_y) = (x, y);
    }
    path
}

/// The text as XML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
