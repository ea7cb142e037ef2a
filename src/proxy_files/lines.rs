//! Changes single settings of a line-oriented file and keeps every other byte.
//!
//! A correct setting keeps its line. A different one is replaced in place, and its old line is kept above as a comment
//! unless arc-enroll had written it. A missing one is added below a marker line.

/// The line above added settings.
const MARKER: &str = "# Set by arc-enroll:";

/// The prefix of a replaced line.
const REPLACED: &str = "# Replaced by arc-enroll: ";

/// A setting parsed from one line.
pub(super) struct LineAssignment {
    /// The text before the name that is kept, such as `export `.
    pub prefix: String,
    /// The name.
    pub name: String,
    /// The parsed value.
    pub value: String,
}

/// The syntax of a file.
pub(super) struct Dialect {
    /// Parses one line; `None` for comments and other lines that are not settings.
    pub assignment: fn(&str) -> Option<LineAssignment>,
    /// The section that the settings belong to, such as `[main]`.
    pub section: Option<&'static str>,
    /// Whether an indented line continues the previous one.
    pub continues: bool,
}

/// A desired setting.
pub(super) struct Setting {
    /// Its name.
    pub name: &'static str,
    /// Its parsed value, and its line without prefix; `None` when the setting has to be removed.
    pub desired: Option<(String, String)>,
    /// Whether a replaced value is kept as a comment; not needed when the new value contains the old one.
    pub keep_old: bool,
}

/// A parsed line of the file.
struct Line<'a> {
    /// The text, with its newline if there is one.
    text: &'a str,
    in_scope: bool,
    /// The index in the settings of the one that the line sets, and the assignment.
    sets: Option<(usize, LineAssignment)>,
    /// Whether it continues the previous line.
    continuation: bool,
}

/// Applies the desired settings to a text.
pub(super) fn apply(text: &str, dialect: &Dialect, settings: &[Setting]) -> String {
    let lines = parse_lines(text, dialect, settings);
    let mut out: Vec<String> = Vec::new();
    let mut ours = false;
    let mut replaced_name: Option<String> = None;
    let mut index = 0;
    while let Some(line) = lines.get(index) {
        let length = 1 + lines.iter().skip(index + 1).take_while(|next| next.continuation).count();
        let block = lines.get(index..index + length).unwrap_or_default();
        match &line.sets {
            Some((which, assignment)) => {
                let is_ours = ours || replaced_name.as_deref() == Some(assignment.name.as_str());
                let last = !lines.iter().skip(index + 1).any(|later| later.sets_setting(*which));
                if let Some(setting) = settings.get(*which) {
                    render_setting(&mut out, block, setting, assignment, is_ours, last);
                }
                replaced_name = None;
            }
            None => {
                let bare = line.text.trim_end();
                ours = bare == MARKER && line.in_scope;
                replaced_name = bare
                    .strip_prefix(REPLACED)
                    .and_then(|old| (dialect.assignment)(old))
                    .map(|assignment| assignment.name);
                out.extend(block.iter().map(|line| line.text.to_owned()));
            }
        }
        index += length;
    }
    let missing: Vec<String> = settings
        .iter()
        .enumerate()
        .filter(|(which, _)| !lines.iter().any(|line| line.sets_setting(*which)))
        .filter_map(|(_, setting)| setting.desired.as_ref().map(|(_, line)| format!("{line}\n")))
        .collect();
    if !missing.is_empty() {
        insert_missing(&mut out, missing, dialect);
    }
    join(out)
}

impl Line<'_> {
    fn sets_setting(&self, which: usize) -> bool {
        self.sets.as_ref().is_some_and(|(index, _)| *index == which)
    }
}

fn parse_lines<'a>(text: &'a str, dialect: &Dialect, settings: &[Setting]) -> Vec<Line<'a>> {
    let mut in_scope = dialect.section.is_none();
    let mut after_setting = false;
    let mut lines = Vec::new();
    for text in text.split_inclusive('\n') {
        let trimmed = text.trim();
        let continuation =
            dialect.continues && after_setting && text.starts_with([' ', '\t']) && !trimmed.is_empty();
        if continuation {
            lines.push(Line { text, in_scope, sets: None, continuation });
            continue;
        }
        if dialect.section.is_some() && trimmed.starts_with('[') {
            in_scope = dialect.section == Some(trimmed);
        }
        let without_newline = text.strip_suffix('\n').unwrap_or(text);
        let assignment = (dialect.assignment)(without_newline).filter(|_| in_scope);
        after_setting = assignment.is_some();
        let sets = assignment.and_then(|assignment| {
            let which = settings.iter().position(|setting| setting.name == assignment.name)?;
            Some((which, assignment))
        });
        lines.push(Line { text, in_scope, sets, continuation });
    }
    lines
}

/// Renders the lines of one setting: unchanged when the value is correct, otherwise replaced.
fn render_setting(
    out: &mut Vec<String>,
    block: &[Line<'_>],
    setting: &Setting,
    assignment: &LineAssignment,
    ours: bool,
    last: bool,
) {
    let is_correct =
        block.len() == 1 && setting.desired.as_ref().is_some_and(|(value, _)| *value == assignment.value);
    if is_correct {
        out.extend(block.iter().map(|line| line.text.to_owned()));
        return;
    }
    let empty = block.len() == 1 && assignment.value.trim().is_empty();
    if setting.keep_old && !ours && !empty {
        out.extend(block.iter().map(|line| format!("{REPLACED}{}\n", line.text.trim_end())));
    }
    if let (Some((_, line)), true) = (&setting.desired, last) {
        out.push(format!("{}{line}\n", assignment.prefix));
    }
}

/// Adds lines below the marker, after existing added lines, or at the end of the scope.
fn insert_missing(out: &mut Vec<String>, added: Vec<String>, dialect: &Dialect) {
    let (start, end) = match dialect.section {
        None => (0, out.len()),
        Some(section) => match out.iter().position(|line| line.trim() == section) {
            Some(start) => {
                let inside = out.iter().skip(start + 1).take_while(|line| !line.trim().starts_with('['));
                (start + 1, start + 1 + inside.count())
            }
            None => {
                out.push(format!("{section}\n"));
                (out.len(), out.len())
            }
        },
    };
    let mut inside = out.iter().enumerate().take(end).skip(start);
    let marker = inside.find(|(_, line)| line.trim_end() == MARKER).map(|(at, _)| at);
    let mut at = match marker {
        Some(at) => {
            let block = out.iter().take(end).skip(at + 1);
            at + 1 + block.take_while(|line| (dialect.assignment)(line.trim_end()).is_some()).count()
        }
        // Blank lines before the next section stay there; at the end of a file the lines are added after them.
        None if dialect.section.is_some() => {
            let section = out.iter().take(end).skip(start);
            end - section.rev().take_while(|line| line.trim().is_empty()).count()
        }
        None => end,
    };
    if dialect.continues {
        // An indented line continues the previous one, so nothing may be inserted between them.
        let following = out.iter().take(end).skip(at);
        at += following.take_while(|line| line.starts_with([' ', '\t'])).count();
    }
    let block = marker.is_none().then(|| format!("{MARKER}\n")).into_iter().chain(added);
    out.splice(at..at, block);
}

/// Joins lines, with a newline between any two of them.
fn join(lines: Vec<String>) -> String {
    let mut text = String::new();
    for line in lines {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(line: &str) -> Option<LineAssignment> {
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some(LineAssignment {
            prefix: String::new(),
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
        })
    }

    fn set(text: &str, section: Option<&'static str>, name: &'static str, value: &str) -> String {
        let dialect = Dialect { assignment, section, continues: section.is_some() };
        let desired = Some((value.to_owned(), format!("{name}={value}")));
        let once = apply(text, &dialect, &[Setting { name, desired, keep_old: true }]);
        let desired = Some((value.to_owned(), format!("{name}={value}")));
        assert_eq!(
            apply(&once, &dialect, &[Setting { name, desired, keep_old: true }]),
            once,
            "not stable: {text:?}"
        );
        once
    }

    #[test]
    fn settings_of_a_file_without_sections() {
        let rows = [
            ("", "# Set by arc-enroll:\np=1\n"),
            ("a=b", "a=b\n# Set by arc-enroll:\np=1\n"),
            ("p=1", "p=1"),
            ("p = 1 \r\nq=2\r\n", "p = 1 \r\nq=2\r\n"),
            ("p=2\n", "# Replaced by arc-enroll: p=2\np=1\n"),
            ("p=2\nx\np=3", "# Replaced by arc-enroll: p=2\nx\n# Replaced by arc-enroll: p=3\np=1\n"),
            ("p=\n", "p=1\n"),
            ("# Set by arc-enroll:\np=2\nz=1\n", "# Set by arc-enroll:\np=1\nz=1\n"),
            ("# Set by arc-enroll:\nq=2\n\nz\n", "# Set by arc-enroll:\nq=2\np=1\n\nz\n"),
            ("# Replaced by arc-enroll: p=3\np=2\n", "# Replaced by arc-enroll: p=3\np=1\n"),
        ];
        for (text, expected) in rows {
            assert_eq!(set(text, None, "p", "1"), expected, "{text:?}");
        }
    }

    #[test]
    fn settings_of_a_section() {
        let rows = [
            ("", "[main]\n# Set by arc-enroll:\np=1\n"),
            ("[main]\na=b\n\n[x]\np=2\n", "[main]\na=b\n# Set by arc-enroll:\np=1\n\n[x]\np=2\n"),
            ("[x]\np=2", "[x]\np=2\n[main]\n# Set by arc-enroll:\np=1\n"),
            (
                "[main]\np=2\n  more\nq=1\n",
                "[main]\n# Replaced by arc-enroll: p=2\n# Replaced by arc-enroll:   more\np=1\nq=1\n",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(set(text, Some("[main]"), "p", "1"), expected, "{text:?}");
        }
    }

    #[test]
    fn an_unwanted_setting_is_removed() {
        let dialect = Dialect { assignment, section: None, continues: false };
        let gone = apply("p=1\nq=2\n", &dialect, &[Setting { name: "p", desired: None, keep_old: true }]);
        assert_eq!(gone, "# Replaced by arc-enroll: p=1\nq=2\n");
    }
}
