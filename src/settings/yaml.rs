//! Reads YAML into a tree whose values know their lines and their source text.
//!
//! serde_yaml converts numbers, and tells a line only with an error. So the text is read twice: first for what each
//! value is, then, along what was found, for the text of each scalar. That text is a part of the source, so its place
//! there tells the line, and `1.50` stays `1.50`.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::node::{Node, Scalar, Value};
use super::values::excerpt;

/// Longest text, in bytes; user-data has at most as many.
const LONGEST: usize = 1 << 20;

/// Most opening brackets and braces. The library's time grows with the text times those that are open; those in quotes
/// and comments count too, since only the library could tell them apart.
const MOST_BRACKETS: usize = 1_000;

/// Deepest nesting of lists and mappings.
const DEEPEST: usize = 64;

/// Most values of a document, counted with those that aliases repeat.
const MOST_VALUES: usize = 10_000;

/// Most lines for which the text is read once more; a further value gets the line of the one before it.
const MOST_LINES: usize = 20;

/// Why a text was not read.
#[derive(Debug)]
pub enum YamlError {
    /// It is not YAML.
    Syntax {
        /// The line, counted from 1, where the library tells it.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
    /// It is YAML that is refused.
    Refused {
        /// The line, counted from 1; `None` when it concerns the text as such.
        line: Option<usize>,
        /// What is wrong and what to write instead.
        message: String,
    },
}

impl YamlError {
    fn refused(line: Option<usize>, message: &str) -> Self {
        Self::Refused { line, message: message.to_owned() }
    }

    /// The error of a reading; `refusal` is why a visitor ended it.
    fn new(error: &serde_yaml::Error, refusal: Option<&'static str>) -> Self {
        let line = error.location().map(|place| place.line());
        match refusal {
            Some(message) => Self::refused(line, message),
            None => Self::Syntax { line, message: error.to_string() },
        }
    }

    fn line(&self) -> Option<usize> {
        match self {
            Self::Syntax { line, .. } | Self::Refused { line, .. } => *line,
        }
    }
}

/// Reads a text of one document; an empty one is null.
///
/// # Errors
/// When it is not YAML, has a key twice, or is long, nested or repeated beyond the limits.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    if text.len() > LONGEST {
        return Err(YamlError::refused(None, "is longer than 1 MiB"));
    }
    if text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > MOST_BRACKETS {
        return Err(YamlError::refused(None, "holds more than 1,000 brackets; write lines instead"));
    }
    let mut root = read_shape(text, MOST_VALUES)?;
    root.line = 1;
    if !matches!(root.value, Value::Null) {
        let mut source = Source::new(text);
        let fill = Fill { source: &mut source, node: &mut root, needs_line: false };
        let filled = fill.deserialize(serde_yaml::Deserializer::from_str(text));
        filled.map_err(|error| source.duplicate.unwrap_or_else(|| YamlError::new(&error, None)))?;
    }
    Ok(root)
}

/// The tree without texts and lines, of a document that has at most so many values.
fn read_shape(text: &str, most: usize) -> Result<Node, YamlError> {
    let mut limits = Limits { most, values: 0, refusal: None };
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(document) = documents.next() else { return Ok(Node { line: 1, value: Value::Null }) };
    let shape = Shape { limits: &mut limits, depth: 0 };
    let root = shape.deserialize(document).map_err(|error| YamlError::new(&error, limits.refusal))?;
    match documents.next() {
        None => Ok(root),
        Some(_) => Err(YamlError::refused(None, "holds more than one document; keep one")),
    }
}

/// What a hostile text could otherwise exceed, and why the reading was ended.
struct Limits {
    most: usize,
    values: usize,
    refusal: Option<&'static str>,
}

/// Reads what a value is.
struct Shape<'l> {
    limits: &'l mut Limits,
    depth: usize,
}

impl Shape<'_> {
    /// Counts a value, before those that it holds. An error here gets the line of the value.
    fn begin<E: Error>(&mut self) -> Result<(), E> {
        self.limits.values += 1;
        let refusal = match self.depth {
            0..=DEEPEST if self.limits.values <= self.limits.most => return Ok(()),
            0..=DEEPEST => "holds too many values",
            _ => "is nested too deeply, or repeats itself",
        };
        self.limits.refusal = Some(refusal);
        Err(E::custom(refusal))
    }

    fn below(&mut self) -> Shape<'_> {
        Shape { limits: self.limits, depth: self.depth + 1 }
    }

    fn end<E: Error>(mut self, value: Value) -> Result<Node, E> {
        self.begin()?;
        Ok(Node { line: 0, value })
    }

    fn scalar<E: Error>(self, scalar: Scalar) -> Result<Node, E> {
        self.end(Value::Scalar(scalar, String::new()))
    }
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! visit_numbers {
    ($($visit:ident($type:ty)),+) => {$(
        fn $visit<E: Error>(self, _: $type) -> Result<Node, E> {
            self.scalar(Scalar::Number)
        }
    )+};
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    visit_numbers!(visit_i64(i64), visit_u64(u64), visit_i128(i128), visit_u128(u128), visit_f64(f64));

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.scalar(Scalar::Bool(value))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Node, E> {
        self.scalar(Scalar::Text)
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.end(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.end(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Node, A::Error> {
        self.begin()?;
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element_seed(self.below())? {
            entries.push(entry);
        }
        Ok(Node { line: 0, value: Value::List(entries) })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Node, A::Error> {
        self.begin()?;
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(self.below())? {
            entries.push((key, map.next_value_seed(self.below())?));
        }
        Ok(Node { line: 0, value: Value::Mapping(entries) })
    }

    /// A value with a tag.
    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Node, A::Error> {
        let (_, value) = data.variant::<IgnoredAny>()?;
        value.newtype_variant::<IgnoredAny>()?;
        self.end(Value::Tagged)
    }
}

/// The text that is read the second time.
struct Source<'t> {
    text: &'t str,
    /// Where each line ends.
    line_ends: Vec<usize>,
    /// The values so far, counted as the first time.
    values: usize,
    /// The line of the value before.
    last_line: usize,
    /// How often the text was read for a line.
    lookups: usize,
    duplicate: Option<YamlError>,
}

impl<'t> Source<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            line_ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            values: 0,
            last_line: 1,
            lookups: 0,
            duplicate: None,
        }
    }

    /// The line of a part of the text.
    fn line_of(&self, part: &str) -> usize {
        let at = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        self.line_ends.partition_point(|end| *end < at) + 1
    }

    /// The line of the present value, for one that is no part of the text, such as a list or a text with escapes: that
    /// of the error when only the values before it are allowed.
    fn look_up(&mut self) -> usize {
        self.lookups += 1;
        let before = self.values.saturating_sub(1);
        let error = (self.lookups <= MOST_LINES).then(|| read_shape(self.text, before).err()).flatten();
        error.and_then(|error| error.line()).unwrap_or(self.last_line)
    }

    /// Refuses a key that is among those before it.
    fn check_new(&mut self, key: &Node, before: &[(Node, Node)]) -> Result<(), &'static str> {
        let Value::Scalar(_, text) = &key.value else { return Ok(()) };
        let is_same = |known: &Node| matches!(&known.value, Value::Scalar(_, known) if known == text);
        if !before.iter().any(|(known, _)| is_same(known)) {
            return Ok(());
        }
        let message = format!("{} is here a second time; keep one of the two", excerpt(text));
        self.duplicate = Some(YamlError::refused(Some(key.line), &message));
        Err("a key is here a second time")
    }
}

/// Reads the scalars of a value of known shape, and the lines.
struct Fill<'s, 't> {
    source: &'s mut Source<'t>,
    node: &'s mut Node,
    /// Whether the line is needed; that of a key serves for its value.
    needs_line: bool,
}

impl Fill<'_, '_> {
    /// Sets the line, `None` when the value is no part of the text. It comes before the values that this one holds.
    fn place(&mut self, line: Option<usize>) {
        let line = match line {
            None if self.needs_line => self.source.look_up(),
            line => line.unwrap_or(self.source.last_line),
        };
        self.node.line = line;
        self.source.last_line = line;
    }

    fn set(self, found: &str) {
        if let Value::Scalar(_, text) = &mut self.node.value {
            found.clone_into(text);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Fill<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.source.values += 1;
        match self.node.value {
            Value::Null | Value::Scalar(..) => deserializer.deserialize_str(self),
            Value::List(_) => deserializer.deserialize_seq(self),
            Value::Mapping(_) => deserializer.deserialize_map(self),
            Value::Tagged => deserializer.deserialize_ignored_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Fill<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same value as before")
    }

    fn visit_borrowed_str<E: Error>(mut self, found: &'de str) -> Result<(), E> {
        self.place(Some(self.source.line_of(found)));
        self.set(found);
        Ok(())
    }

    fn visit_str<E: Error>(mut self, found: &str) -> Result<(), E> {
        self.place(None);
        self.set(found);
        Ok(())
    }

    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        self.place(None);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.place(None);
        let Fill { source, node, .. } = self;
        let Value::List(entries) = &mut node.value else { return Ok(()) };
        for node in entries {
            list.next_element_seed(Fill { source, node, needs_line: true })?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.place(None);
        let Fill { source, node, .. } = self;
        let Value::Mapping(entries) = &mut node.value else { return Ok(()) };
        for index in 0..entries.len() {
            let (before, rest) = entries.split_at_mut(index);
            let Some((key, value)) = rest.first_mut() else { break };
            map.next_key_seed(Fill { source, node: key, needs_line: true })?;
            source.check_new(key, before).map_err(A::Error::custom)?;
            map.next_value_seed(Fill { source, node: value, needs_line: false })?;
        }
        Ok(())
    }
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
            Err(YamlError::Refused { line, message }) => (line.unwrap_or_default(), message),
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
        assert_eq!(refusal(&text), (DEEPEST + 1, "is nested too deeply, or repeats itself".to_owned()));
        assert!(refusal("a: &x [*x]\n").1.contains("repeats itself"));
        assert!(refusal(&"[".repeat(MOST_BRACKETS + 1)).1.contains("brackets"));
        assert!(refusal(&"[".repeat(MOST_BRACKETS)).1.contains("nested too deeply"));
        assert!(refusal(&format!("a: {}\n", "x".repeat(LONGEST))).1.contains("1 MiB"));
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

    #[test]
    fn scalars_have_the_types_of_yaml() {
        let cases = [
            ("null", "~ / null / Null / "),
            ("bool", "true / True / FALSE"),
            ("number", "0 / -1 / +1 / 1. / .5 / 1e3 / 1.5e-3 / 0x1F / 0o17 / .inf / -.Inf / .nan / -0"),
            ("number", "!!int 5 / 99999999999999999999 / -99999999999999999999"),
            ("text", "nUll / tRue / yes / off / 00 / 1e / + / 1.2.3 / 0xg / inf / 1_000 / 2024-01-01"),
            ("text", "10.0.0.1 / '1' / \"true\" / '' / !!str 5 / 1:30 / |\n 5 / eastus / '~'"),
            ("list", "[a] / [] / - ~"),
            ("mapping", "{a: b} / {}"),
            ("tagged", "!x 5 / !x [5] / !x {a: b} / ! 5"),
        ];
        for (expected, texts) in cases {
            for text in texts.split(" / ") {
                let found = match read(text).value {
                    Value::Null => "null",
                    Value::Scalar(Scalar::Bool(_), _) => "bool",
                    Value::Scalar(Scalar::Number, _) => "number",
                    Value::Scalar(Scalar::Text, _) => "text",
                    Value::List(_) => "list",
                    Value::Mapping(_) => "mapping",
                    Value::Tagged => "tagged",
                };
                assert_eq!(found, expected, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_part_of_the_text_has_its_line_too() {
        let text = "a:\n- []\n- {}\n- !x 5\n-\n  # none\n  \"b\\u00e4\"\n- >-\n  c\n  d\n- *x\n"
            .replace("*x", "'e\n  f'");
        let text = format!("{text}- ä\nb: {{g: 1,\n  \"\\t\": [~,\n !!str 5]}}\n");
        let cases = [("a.0", 2), ("a.1", 3), ("a.2", 4), ("a.3", 7), ("a.4", 8), ("a.5", 11), ("a.6", 13)];
        for (dotted, expected) in cases {
            assert_eq!(line_of(&text, dotted), Some(expected), "{dotted}\n{text}");
        }
        let cases = [("b.g", 14), ("b.\t", 15), ("b.\t.0", 15), ("b.\t.1", 16)];
        for (dotted, expected) in cases {
            assert_eq!(line_of(&text, dotted), Some(expected), "{dotted}\n{text}");
        }
        // Further ones get the line of the value before.
        let root = read(&format!("a:\n{}", "- []\n".repeat(MOST_LINES + 5)));
        let (_, list) = root.get("a").unwrap();
        let Value::List(entries) = &list.value else { panic!("{list:?}") };
        let expected: Vec<usize> = (0..MOST_LINES + 5).map(|index| index.min(MOST_LINES - 1) + 2).collect();
        assert_eq!(entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), expected);
    }

    /// Places that are wrong by a prefix of other bytes would show as wrong text or lines.
    #[test]
    fn text_before_of_more_than_one_byte() {
        let text = "# ä€𝄞\nä: \"€\"\nb: 𝄞\n'€ ': 'x'\nc: [a,\n b]\n";
        for (dotted, line, expected) in
            [("ä", 2, "€"), ("b", 3, "𝄞"), ("€ ", 4, "x"), ("c.0", 5, "a"), ("c.1", 6, "b")]
        {
            let root = read(text);
            let (found, node) = find(&root, dotted).unwrap();
            assert_eq!((found, node.as_text()), (line, Some(expected)), "{dotted}");
        }
    }
}
