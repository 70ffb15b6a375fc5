//! What a client may do, apart from the models that it may use.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::address_range::AddressRange;
use super::glob::Glob;

/// The rules for the requests of a client. By default, everything is admitted.
#[derive(Debug, Default)]
pub struct ClientGuard {
    /// Patterns for the paths of operations that it may use. `None`: all.
    pub operations: Option<Vec<Glob>>,
    /// What the document says about it. Rules can rely on it.
    pub labels: Rc<BTreeMap<String, String>>,
    /// Entries of its metadata.
    pub metadata: Statements,
    /// Its headers, by lower-case name.
    pub headers: Statements,
    /// The size of one request.
    pub request: RequestSize,
    /// Fields of the body, and types of tools.
    pub parameters: Parameters,
    /// Whether it sees only the stored objects that it has made.
    pub sees_own_only: bool,
    /// The countries from which it may call, in upper case. `None`: all.
    pub countries: Option<Vec<String>>,
    /// The addresses from which it may call. `None`: all.
    pub addresses: Option<Vec<AddressRange>>,
}

impl ClientGuard {
    /// Whether it has to know what is in a body.
    pub fn reads_body(&self) -> bool {
        let request = &self.request;
        self.sees_own_only
            || request.max_output_tokens.or(request.max_images).is_some()
            || self.parameters.allow.is_some()
            || !self.parameters.deny.is_empty()
    }
}

/// What a client may state about its request.
#[derive(Debug, Default)]
pub struct Statements {
    /// Values that count whatever the client states.
    pub pin: BTreeMap<String, String>,
    /// Patterns for names that it may not state.
    pub refuse: Vec<Glob>,
}

impl Statements {
    /// Whether the client may not state this name. A pinned one it may: its value does not count.
    pub fn refuses(&self, name: &str) -> bool {
        self.refuse.iter().any(|glob| glob.matches(name)) && !self.pin.contains_key(name)
    }
}

/// The most of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestSize {
    /// Bytes of the body.
    pub max_bytes: Option<u64>,
    /// Estimated tokens of the input.
    pub max_input_tokens: Option<u64>,
    /// Tokens of the output that it allows.
    pub max_output_tokens: Option<u64>,
    /// Images in the input, or images that it asks for.
    pub max_images: Option<u64>,
}

/// Fields of the body, and types of tools as `tools:TYPE`.
#[derive(Debug, Default)]
pub struct Parameters {
    /// Those that it may use. `None`: all.
    pub allow: Option<Vec<Glob>>,
    /// Those that it may not use.
    pub deny: Vec<Glob>,
}

impl Parameters {
    /// Whether the client may use the field of this name. With an allowed type of a tool, the field
    /// `tools` is allowed.
    pub fn admits_field(&self, name: &str) -> bool {
        let allows =
            |glob: &Glob| glob.matches(name) || (name == "tools" && glob.as_str().starts_with("tools:"));
        name == "model" || self.admits(name, &allows)
    }

    /// Whether the client may use a tool of this type.
    pub fn admits_tool(&self, tool: &str) -> bool {
        let name = format!("tools:{tool}");
        self.admits(&name, &|glob| glob.matches(&name) || glob.matches("tools"))
    }

    fn admits(&self, name: &str, allows: &dyn Fn(&Glob) -> bool) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.iter().any(allows))
            && !self.deny.iter().any(|glob| glob.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Vec<Glob> {
        patterns.iter().map(|pattern| Glob::new(*pattern)).collect()
    }

    #[test]
    fn fields_and_tools_are_allowed_and_denied_by_patterns() {
        let deny = |patterns: &[&str]| Parameters { allow: None, deny: globs(patterns) };
        let allow = |patterns: &[&str]| Parameters { allow: Some(globs(patterns)), deny: Vec::new() };
        let tools = |parameters: &Parameters, tool: &str| {
            parameters.admits_field("tools") && parameters.admits_tool(tool)
        };
        let none = Parameters::default();
        assert!(none.admits_field("store") && tools(&none, "web_search"));
        let denied = deny(&["store", "tools:web_search*"]);
        assert!(!denied.admits_field("store") && denied.admits_field("stored"));
        assert!(!tools(&denied, "web_search_preview") && tools(&denied, "function"));
        assert!(!tools(&deny(&["tools"]), "function"));
        assert!(!tools(&deny(&["tools:*"]), "function") && deny(&["tools:*"]).admits_field("tools"));
        let allowed = allow(&["messages", "tools:function"]);
        assert!(allowed.admits_field("model") && allowed.admits_field("messages"));
        assert!(!allowed.admits_field("store"));
        assert!(tools(&allowed, "function") && !tools(&allowed, "mcp"));
        assert!(tools(&allow(&["tools"]), "mcp") && !tools(&allow(&["messages"]), "function"));
        let both = Parameters { allow: Some(globs(&["*"])), deny: globs(&["tools:mcp"]) };
        assert!(tools(&both, "function") && !tools(&both, "mcp"));
    }
}
