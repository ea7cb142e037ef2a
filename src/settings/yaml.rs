//! Reads YAML into a tree whose values know their lines and their source text.
//!
//! Numbers are only recognized, never converted: every setting is checked as text, and `1.50` stays `1.50`.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::values::excerpt;

/// Deepest nesting of lists and mappings.
const DEEPEST: usize = 64;

/// Most values of a document, counted with those that aliases repeat.
const MOST_VALUES: usize = 10_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// A boolean, a number or text, with its source text, without quotes.
    Scalar(Scalar, String),
    /// A list.
    List(Vec<Node>),
    /// Keys with their values, in the order of the source.
    Mapping(Vec<(Node, Node)>),
    /// A value with a tag other than those of YAML itself.
    Tagged,
}

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A number in a notation of YAML.
    Number,
    /// Anything else, and all that is quoted.
    Text,
}

impl Node {
    /// The text of a scalar that is text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(Scalar::Text, text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping; none for any other value.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The key and the value of an entry of a mapping.
    pub fn get(&self, key: &str) -> Option<(&Node, &Node)> {
        let (key, value) = self.entries().iter().find(|(known, _)| known.as_text() == Some(key))?;
        Some((key, value))
    }
}

/// Why a text was not read.
#[derive(Debug)]
pub enum YamlError {
    /// It is not YAML.
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// It is YAML that is refused.
    Refused {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong and what to write instead.
        message: String,
    },
}

impl From<ScanError> for YamlError {
    fn from(error: ScanError) -> Self {
        let mut message = error.info().to_owned();
        message.push_str(&format!(", column {}", error.marker().col() + 1));
        Self::Syntax { line: error.marker().line(), message }
    }
}

/// Reads a text of one document; an empty one is null.
///
/// # Errors
/// When it is not YAML, has a key twice, or is nested or repeated beyond the limits.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: Vec::new(), values: 0 };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break,
            (Event::DocumentStart(_), span) if document.is_some() => {
                return Err(refused(&span, "holds more than one document; keep one"));
            }
            (Event::DocumentStart(_), _) => {
                let first = reader.next()?;
                document = Some(reader.node(first, 0)?);
            }
            _ => {}
        }
    }
    Ok(document.unwrap_or(Node { line: 1, value: Value::Null }))
}

fn refused(span: &Span, message: &str) -> YamlError {
    YamlError::Refused { line: span.start.line(), message: message.to_owned() }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// The values that aliases may repeat, by the parser's numbers.
    anchors: Vec<(usize, Node)>,
    values: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), YamlError> {
        Ok(self.parser.next_event().unwrap_or(Ok((Event::StreamEnd, Span::default())))?)
    }

    /// The value that begins with this event.
    fn node(&mut self, (event, span): (Event<'t>, Span), depth: usize) -> Result<Node, YamlError> {
        if depth > DEEPEST {
            return Err(refused(&span, "is nested too deeply"));
        }
        let (anchor, tag, value) = match event {
            Event::Alias(anchor) => {
                let value = self.repeated(anchor).ok_or_else(|| refused(&span, "repeats itself"))?;
                (0, None, value)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = resolve(text.into_owned(), style, tag.as_deref());
                (anchor, tag, value)
            }
            Event::SequenceStart(anchor, tag) => (anchor, tag, self.list(depth)?),
            Event::MappingStart(anchor, tag) => (anchor, tag, self.mapping(depth)?),
            _ => (0, None, Value::Null),
        };
        let value = if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) { Value::Tagged } else { value };
        let node = Node { line: span.start.line(), value };
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(refused(&span, "holds too many values"));
        }
        if anchor > 0 {
            self.anchors.push((anchor, node.clone()));
        }
        Ok(node)
    }

    /// The value of an anchor; `None` inside that very value.
    fn repeated(&mut self, anchor: usize) -> Option<Value> {
        let (_, node) = self.anchors.iter().find(|(known, _)| *known == anchor)?;
        self.values += count(node);
        Some(node.value.clone())
    }

    fn list(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut entries = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(entries)),
                first => entries.push(self.node(first, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        loop {
            let first = self.next()?;
            if matches!(first.0, Event::MappingEnd) {
                return Ok(Value::Mapping(entries));
            }
            let span = first.1;
            let key = self.node(first, depth + 1)?;
            if let Value::Scalar(_, text) = &key.value {
                let is_same = |known: &Node| matches!(&known.value, Value::Scalar(_, known) if known == text);
                if entries.iter().any(|(known, _)| is_same(known)) {
                    let message = format!("{} is here a second time; keep one of the two", excerpt(text));
                    return Err(refused(&span, &message));
                }
            }
            let first = self.next()?;
            let value = self.node(first, depth + 1)?;
            entries.push((key, value));
        }
    }
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::List(entries) => entries.iter().map(count).sum::<usize>() + 1,
        Value::Mapping(entries) => {
            entries.iter().map(|(key, value)| count(key) + count(value)).sum::<usize>() + 1
        }
        _ => 1,
    }
}

/// The value of a scalar (YAML 1.2, core schema). Digits after a zero are text, since they are rarely meant as a number.
fn resolve(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.suffix == "str");
    if style != ScalarStyle::Plain || is_text {
        return Value::Scalar(Scalar::Text, text);
    }
    let scalar = match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        number if is_number(number) => Scalar::Number,
        _ => Scalar::Text,
    };
    Value::Scalar(scalar, text)
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    if let Some(digits) = unsigned.strip_prefix("0x") {
        return is_all(digits, 16);
    }
    if let Some(digits) = unsigned.strip_prefix("0o") {
        return is_all(digits, 8);
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_padded = unsigned.len() > 1 && unsigned.starts_with('0') && is_all(unsigned, 10);
    is_all(exponent, 10) && is_all(&format!("{whole}{fraction}"), 10) && !is_padded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Node {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    /// The line of a key, or of an entry of a list, and its value.
    fn find<'n>(root: &'n Node, dotted: &str) -> Option<(usize, &'n Node)> {
        dotted.split('.').try_fold((root.line, root), |(_, node), step| match (&node.value, step.parse()) {
            (Value::List(entries), Ok(index)) => {
                let index: usize = index;
                entries.get(index).map(|entry| (entry.line, entry))
            }
            _ => node.get(step).map(|(key, value)| (key.line, value)),
        })
    }

    fn line_of(text: &str, dotted: &str) -> Option<usize> {
        find(&read(text), dotted).map(|(line, _)| line)
    }

    const BLOCK: &str = "\
# azure: not here
azure:
  # location: nor here
  note: 'azure: location: nor here'
  text: |
    location: nor here
    tags:
  location: eastus   # location
  \"resource_group\": rg
  'tenant_id':
    null
  tags: {a: 1,
     b: 2, \"c d\": [x, y]}
proxy:
  no_proxy:
  - localhost
  # between
  - 127.0.0.1
  -
    ::1
agent: {install: never, token: file}
";

    #[test]
    fn keys_in_block_flow_quotes_and_comments() {
        let cases = [
            ("azure", 2),
            ("azure.note", 4),
            ("azure.location", 8),
            ("azure.resource_group", 9),
            ("azure.tenant_id", 10),
            ("azure.tags", 12),
            ("azure.tags.a", 12),
            ("azure.tags.b", 13),
            ("azure.tags.c d", 13),
            ("azure.tags.c d.1", 13),
            ("proxy.no_proxy.0", 16),
            ("proxy.no_proxy.1", 18),
            ("proxy.no_proxy.2", 20),
            ("agent.token", 21),
        ];
        for (dotted, expected) in cases {
            assert_eq!(line_of(BLOCK, dotted), Some(expected), "{dotted}");
        }
        assert_eq!(line_of(BLOCK, "azure.nothing"), None);
    }

    #[test]
    fn windows_lines_anchors_and_documents() {
        assert_eq!(line_of("a: 1\r\nb:\r\n  c: 2\r\n", "b.c"), Some(3));
        let text = "---\na: &x {k: 1}\nb: *x\nc: 3\n";
        assert_eq!(
            (line_of(text, "c"), line_of(text, "b"), line_of(text, "b.k")),
            (Some(4), Some(3), Some(2))
        );
        assert_eq!(line_of("a: [1, {b: 2},\n {c: 3}]\n", "a.2.c"), Some(2));
    }

    fn refusal(text: &str) -> (usize, String) {
        match parse(text) {
            Err(YamlError::Refused { line, message }) => (line, message),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn duplicate_keys() {
        let (line, message) = refusal("a: 1\nb:\n  c: 1\n  d: 2\n  'c': 3\n");
        assert_eq!((line, message.as_str()), (5, "\"c\" is here a second time; keep one of the two"));
        assert_eq!(refusal("a: {x: 1, x: 2}").0, 1);
        read("a: {x: 1}\nb: {x: 1}\nc: [{x: 1}, {x: 2}, ~, 1.5, true, -1]\n");
    }

    #[test]
    fn aliases_and_nesting_are_bounded() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let all = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{all}]\n"));
        }
        assert!(refusal(&text).1.contains("too many values"));
        let text = (0..100).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>();
        assert_eq!(refusal(&text), (DEEPEST + 1, "is nested too deeply".to_owned()));
        assert!(refusal("a: &x [*x]\n").1.contains("repeats itself"));
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn scalars_keep_their_source_text() {
        let root = read("a: 1.50\nb: [0x10, true, 007]\nc: \"1.0\"\nd: {e: 1_000}\n");
        for (dotted, expected, scalar) in [
            ("a", "1.50", Scalar::Number),
            ("b.0", "0x10", Scalar::Number),
            ("b.1", "true", Scalar::Bool(true)),
            ("b.2", "007", Scalar::Text),
            ("c", "1.0", Scalar::Text),
            ("d.e", "1_000", Scalar::Text),
        ] {
            let (_, node) = find(&root, dotted).unwrap();
            let Value::Scalar(found, text) = &node.value else { panic!("{dotted}: {node:?}") };
            assert_eq!((*found, text.as_str()), (scalar, expected), "{dotted}");
        }
    }

    /// The reader of `user-data --include` takes the same scalars for the same types.
    #[test]
    fn scalars_have_the_types_of_serde_yaml() {
        for text in [
            "~",
            "null",
            "Null",
            "nUll",
            "true",
            "True",
            "TRUE",
            "tRue",
            "yes",
            "off",
            "0",
            "00",
            "01",
            "-1",
            "+1",
            "1.",
            ".5",
            "-.5",
            "1e3",
            "1.5e-3",
            "1e",
            "e1",
            ".",
            "+",
            "1.2.3",
            "0x1F",
            "0xg",
            "-0x1f",
            "0o17",
            "0o8",
            ".inf",
            "-.Inf",
            ".nan",
            "inf",
            "nan",
            "infinity",
            "1_000",
            "2024-01-01",
            "10.0.0.1",
            "'1'",
            "\"true\"",
            "''",
            "!!str 5",
            "! 5",
            "!x 5",
            "eastus",
            "1:30",
            "12e5",
            "0.10",
            "-0",
            "00.5",
            "!!int 5",
            "[a]",
            "{a: b}",
            "|\n 5",
        ] {
            let reference = match serde_yaml::from_str::<serde_yaml::Value>(text).unwrap() {
                serde_yaml::Value::Null => "null",
                serde_yaml::Value::Bool(_) => "bool",
                serde_yaml::Value::Number(_) => "number",
                serde_yaml::Value::String(_) => "text",
                serde_yaml::Value::Sequence(_) => "list",
                serde_yaml::Value::Mapping(_) => "mapping",
                serde_yaml::Value::Tagged(_) => "tagged",
            };
            let found = match read(text).value {
                Value::Null => "null",
                Value::Scalar(Scalar::Bool(_), _) => "bool",
                Value::Scalar(Scalar::Number, _) => "number",
                Value::Scalar(Scalar::Text, _) => "text",
                Value::List(_) => "list",
                Value::Mapping(_) => "mapping",
                Value::Tagged => "tagged",
            };
            assert_eq!(found, reference, "{text}");
        }
    }
}
