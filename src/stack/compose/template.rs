//! Variables in texts: `$NAME`, `${NAME}`, `${NAME:-default}`, `-`, `:?`, `?`, `:+`, `+`, nested, and `$$` for a `$`.
//!
//! The rules are those of <https://docs.docker.com/reference/compose-file/interpolation/>.

use std::collections::BTreeSet;

/// Why a text can't be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not of the form; the text from the `$` on.
    Malformed(String),
    /// `:?` or `?` asks for a variable that is not there; the message that it gives.
    Required { name: String, message: String },
}

impl Fault {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Malformed(text) => format!("`{text}` is no variable"),
            Self::Required { name, message } if message.is_empty() => format!("the variable {name} must be set"),
            Self::Required { name, message } => format!("the variable {name} must be set: {message}"),
        }
    }

    pub(super) fn hint(&self) -> String {
        match self {
            Self::Malformed(_) => "Write `$$` for a `$` that is meant as it is.".to_owned(),
            Self::Required { name, .. } => format!("Set {name} in the environment or in `.env`."),
        }
    }
}

/// Fills in variables, and remembers which of them nothing sets.
pub(super) struct Template<'a> {
    variables: &'a dyn Fn(&str) -> Option<String>,
    unset: BTreeSet<String>,
}

impl<'a> Template<'a> {
    pub(super) fn new(variables: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variables, unset: BTreeSet::new() }
    }

    /// The variables that were asked for without a default and that nothing sets, since the last call.
    pub(super) fn take_unset(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.unset)
    }

    pub(super) fn fill(&mut self, text: &str) -> Result<String, Fault> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let after = &rest[1..];
            if let Some(after) = after.strip_prefix('$') {
                filled.push('$');
                rest = after;
            } else if let Some(inner) = after.strip_prefix('{') {
                let malformed = || Fault::Malformed(shortened(rest));
                let name = name_at(inner).ok_or_else(malformed)?;
                let end = closing(inner).ok_or_else(malformed)?;
                let operator = inner.get(name.len()..end).ok_or_else(malformed)?;
                filled.push_str(&self.braced(name, operator).map_err(|fault| fault.unwrap_or_else(malformed))?);
                rest = &inner[end + 1..];
            } else if let Some(name) = name_at(after) {
                filled.push_str(&self.value(name));
                rest = &after[name.len()..];
            } else {
                filled.push('$');
                rest = after;
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&mut self, name: &str) -> String {
        (self.variables)(name).unwrap_or_else(|| {
            self.unset.insert(name.to_owned());
            String::new()
        })
    }

    /// What stands between the braces after the name; an error without a fault is a malformed one.
    fn braced(&mut self, name: &str, operator: &str) -> Result<String, Option<Fault>> {
        if operator.is_empty() {
            return Ok(self.value(name));
        }
        let (even_empty, rest) = operator.strip_prefix(':').map_or((false, operator), |rest| (true, rest));
        let value = (self.variables)(name);
        let counts = value.as_ref().is_some_and(|value| !even_empty || !value.is_empty());
        let word = rest.get(1..);
        match (rest.chars().next(), word) {
            (Some('-'), Some(word)) if !counts => self.fill(word).map_err(Some),
            (Some('+'), Some(word)) if counts => self.fill(word).map_err(Some),
            (Some('?'), Some(word)) if !counts => {
                let message = self.fill(word).map_err(Some)?;
                Err(Some(Fault::Required { name: name.to_owned(), message }))
            }
            (Some('-' | '+' | '?'), Some(_)) => Ok(value.unwrap_or_default()),
            _ => Err(None),
        }
    }
}

fn name_at(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = &text[..end];
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then_some(name)
}

/// The brace that closes the one before the text; where they don't pair up, the last one.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    text.rfind('}')
}

/// Enough of a text to find it again.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= 40 { line.to_owned() } else { line.chars().take(39).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, Fault> {
        let variables = |name: &str| match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            "lower_1" => Some("low".to_owned()),
            _ => None,
        };
        Template::new(&variables).fill(text)
    }

    #[test]
    fn every_form() {
        for (text, filled) in [
            ("no variable", "no variable"),
            ("$SET-${SET}", "value-value"),
            ("$lower_1.x", "low.x"),
            ("$UNSET|${UNSET}", "|"),
            ("$$SET $${SET} $$$SET", "$SET ${SET} $value"),
            ("${UNSET-a}${EMPTY-a}${SET-a}", "avalue"),
            ("${UNSET:-a}${EMPTY:-a}${SET:-a}", "aavalue"),
            ("${UNSET+a}${EMPTY+a}${SET+a}", "aa"),
            ("${UNSET:+a}${EMPTY:+a}${SET:+a}", "a"),
            ("${SET?no}${SET:?no}${EMPTY?no}", "valuevalue"),
            ("${UNSET:-${ALSO:-${SET}}}", "value"),
            ("${UNSET:-{\"a\": {}}}", "{\"a\": {}}"),
            ("${UNSET:-}", ""),
            ("${UNSET:-a:-b}", "a:-b"),
            ("${UNSET:-two\nlines}", "two\nlines"),
            ("100$ $5 $. $", "100$ $5 $. $"),
            ("ü${SET}ü", "üvalueü"),
        ] {
            assert_eq!(fill(text).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn what_is_asked_for_must_be_there() {
        let fault = fill("a ${UNSET:?because $SET}").unwrap_err();
        assert_eq!(fault, Fault::Required { name: "UNSET".into(), message: "because value".into() });
        assert_eq!(fault.message(), "the variable UNSET must be set: because value");
        assert!(fill("${EMPTY:?}").is_err());
        assert!(fill("${UNSET?}").is_err());
    }

    #[test]
    fn malformed_texts_are_named() {
        for text in ["${", "${}", "${SET", "${SET!}", "${5}", "x ${ SET}", "${SET:}", "${SET:=x}", "${SETü}"] {
            assert!(matches!(fill(text), Err(Fault::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn what_is_not_set_is_remembered() {
        let mut template = Template::new(&|_| None);
        template.fill("$A ${B} ${C:-} ${D+x}").unwrap();
        assert_eq!(template.take_unset(), ["A", "B"].map(str::to_owned).into());
    }
}
