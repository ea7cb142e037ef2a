//! The layers of the source: which module uses which.
//!
//! The order is that of the table in `src/lib.rs`, from the bottom to the top. Tests beside the code may use anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::docs::repository;

/// Every source file with its text, without its unit tests and comments.
fn sources() -> BTreeMap<PathBuf, String> {
    let root = repository().join("src");
    let mut folders = vec![root.clone()];
    let mut found = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_of_tests =
                path.file_stem().is_some_and(|stem| stem == "tests" || stem == "hostile_answers");
            if is_of_tests {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let code = lines.collect::<Vec<_>>().join("\n");
                found.insert(path.strip_prefix(&root).expect("below").to_owned(), code);
            }
        }
    }
    assert!(found.len() > 100, "too few files are found");
    found
}

/// The first name of each path that follows this word, such as `crate::` or `super::`, groups in braces included.
fn names_after(code: &str, word: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(word) {
        let is_whole = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let rest = &code[at + word.len()..];
        if !is_whole {
            continue;
        }
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut part = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            names.insert(first_name(&part));
                            part.clear();
                            continue;
                        }
                        _ => {}
                    }
                    part.push(c);
                }
                names.insert(first_name(&part));
            }
            None => drop(names.insert(first_name(rest))),
        }
    }
    names
}

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The layers in the order of the table in `src/lib.rs`.
fn layers() -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("src/lib.rs")).expect("src/lib.rs");
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | [`")?.split('`').next());
    rows.map(str::to_owned).collect()
}

fn layer_of(path: &Path) -> String {
    let first = path.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn the_map_of_modules_names_each_once() {
    let layers = layers();
    let modules: BTreeSet<String> = sources().keys().map(|path| layer_of(path)).collect();
    let listed: BTreeSet<String> = layers.iter().cloned().collect();
    assert_eq!(listed.len(), layers.len(), "a module is listed twice");
    let program = ["lib", "main"].map(str::to_owned).into_iter().collect();
    assert_eq!(modules.difference(&program).cloned().collect::<BTreeSet<_>>(), listed);
}

#[test]
fn a_module_uses_only_those_below_it() {
    let layers = layers();
    let rank = |name: &str| layers.iter().position(|layer| layer == name);
    let mut upwards = Vec::new();
    for (path, code) in sources() {
        let Some(own) = rank(&layer_of(&path)) else { continue };
        for used in names_after(&code, "crate::") {
            if rank(&used).is_some_and(|used| used > own) {
                upwards.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(upwards.is_empty(), "arrows upwards:\n{}", upwards.join("\n"));
}

#[test]
fn files_of_a_folder_use_each_other_in_one_direction() {
    let sources = sources();
    // A file and the folder of its name are one module.
    let mut uses: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (path, code) in &sources {
        let parts: Vec<String> =
            path.iter().map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned()).collect();
        for depth in 1..parts.len() {
            let folder = parts[..depth].join("::");
            let own = parts[depth].clone();
            if own == "mod" {
                continue;
            }
            let below = parts.len() - depth - usize::from(parts.last().is_some_and(|last| last == "mod"));
            let mut used = names_after(code, &format!("crate::{folder}::"));
            used.extend(names_after(code, &"super::".repeat(below)));
            used.remove(&own);
            uses.entry((folder, own)).or_default().extend(used);
        }
    }
    let mut circles = Vec::new();
    for (folder, name) in uses.keys() {
        let mut reached = BTreeSet::new();
        let mut open = vec![name.clone()];
        while let Some(next) = open.pop() {
            for used in uses.get(&(folder.clone(), next)).into_iter().flatten() {
                if used == name {
                    circles.push(format!("src/{}: {name}", folder.replace("::", "/")));
                }
                if uses.contains_key(&(folder.clone(), used.clone())) && reached.insert(used.clone()) {
                    open.push(used.clone());
                }
            }
        }
    }
    circles.dedup();
    assert!(circles.is_empty(), "used by what they use:\n{}", circles.join("\n"));
}

#[test]
fn paths_are_read_with_their_groups() {
    let code = "use crate::{a::b, c, d::{e, f}};\nuse crate::g::h;\ncrate::i();\nnot_crate::j; xcrate::k";
    let names: Vec<String> = names_after(code, "crate::").into_iter().collect();
    assert_eq!(names, ["a", "c", "d", "g", "i"]);
}
