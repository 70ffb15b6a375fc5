//! Placeholders: `${NAME}` in a document refers to a variable.

/// The name of the first variable in a text.
pub fn first_variable(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("${")?;
    rest.split_once('}').map(|(name, _)| name).filter(|name| is_name(name))
}

/// The name of the variable, if the text is exactly one variable.
pub fn sole_variable(text: &str) -> Option<&str> {
    text.strip_prefix("${")?.strip_suffix('}').filter(|name| is_name(name))
}

/// Whether this is a valid name of a variable.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::sole_variable;

    #[test]
    fn a_secret_is_one_variable_and_nothing_else() {
        assert_eq!(sole_variable("${OPENAI_API_KEY}"), Some("OPENAI_API_KEY"));
        for text in ["", "sk-1", "${A}x", "x${A}", "${A}${B}", "${}", "${A"] {
            assert_eq!(sole_variable(text), None, "{text}");
        }
    }
}
