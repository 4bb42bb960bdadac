//! Where in a JSON text a value is that a path names: `accounts[3].balance`.

/// The byte at which the value begins that `path` names, an empty path the whole; `None` if the text is no JSON up to there, or has no such value.
///
/// What is within other values is passed over by counting brackets, so depth costs no memory.
pub fn locate(text: &str, path: &str) -> Option<usize> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    reader.blank();
    for step in steps(path)? {
        match step {
            Step::Field(name) => reader.enter_field(name)?,
            Step::Index(index) => reader.enter_index(index)?,
        }
    }
    (reader.at < reader.bytes.len()).then_some(reader.at)
}

/// Line and column, in characters, of a byte of a text; both counted from 1.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[begin..].chars().count() + 1)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

/// The parts of a path; `None` if it is none.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (name, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        steps.extend((!name.is_empty()).then_some(Step::Field(name)));
        for index in indices.split('[').skip(1) {
            steps.push(Step::Index(index.strip_suffix(']')?.parse().ok()?));
        }
    }
    Some(steps)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Passes a sign, and the blanks around it.
    fn sign(&mut self, sign: u8) -> Option<()> {
        self.blank();
        self.byte(sign)?;
        self.blank();
        Some(())
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Passes a string; what is between its quotes, escapes as they are.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.byte(b'"')?;
        let begin = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        let content = self.bytes.get(begin..self.at)?;
        self.at += 1;
        Some(content)
    }

    /// Passes a value.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                b',' | b':' => return None,
                _ => {
                    while self.peek().is_some_and(|byte| !byte.is_ascii_whitespace() && !b",:{}[]\"".contains(&byte)) {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Goes to the value of a field.
    fn enter_field(&mut self, name: &str) -> Option<()> {
        self.sign(b'{')?;
        loop {
            let is_it = self.string()? == name.as_bytes();
            self.sign(b':')?;
            if is_it {
                return Some(());
            }
            self.skip()?;
            self.sign(b',')?;
        }
    }

    /// Goes to an element of a list.
    fn enter_index(&mut self, index: usize) -> Option<()> {
        self.sign(b'[')?;
        for _ in 0..index {
            self.skip()?;
            self.sign(b',')?;
        }
        (self.peek()? != b']').then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn places() {
        let text = "{\n  \"a\\\"]\": \"}\",\n  \"list\": [1, {\"b\": [ [], \"é\", {\"c\": null} ]}, 3],\n  \"é\": 5\n}";
        for (path, found) in
            [("", "{\n  \"a"), ("list", "[1,"), ("list[0]", "1,"), ("list[1].b", "[ []"), ("list[1].b[2].c", "null"), ("list[2]", "3]"), ("é", "5\n")]
        {
            let at = locate(text, path).unwrap_or_else(|| panic!("{path} is there"));
            assert!(text[at..].starts_with(found), "{path}: {}", &text[at..]);
        }
        for path in ["b", "list[3]", "list.b", "list[1].c", "list[x]", "list[1", "é.x"] {
            assert_eq!(locate(text, path), None, "{path}");
        }
        assert_eq!(line_and_column(text, locate(text, "é").unwrap()), (4, 8));
        assert_eq!(line_and_column("é1", 2), (1, 2));
        assert_eq!((locate("", ""), locate("[1,", "[1]"), locate("{\"a\"", "a")), (None, None, None));
    }

    /// Any value of a tree, with its path.
    fn paths(value: &Value, path: &str, all: &mut Vec<(String, Value)>) {
        all.push((path.to_owned(), value.clone()));
        if let Value::Object(fields) = value {
            let dot = if path.is_empty() { "" } else { "." };
            fields.iter().for_each(|(name, value)| paths(value, &format!("{path}{dot}{name}"), all));
        }
        if let Value::Array(list) = value {
            list.iter().enumerate().for_each(|(index, value)| paths(value, &format!("{path}[{index}]"), all));
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![any::<i64>().prop_map(|number| json!(number)), "[ -~é\n]{0,6}".prop_map(|text| json!(text)), Just(json!(null)), Just(json!(true))];
        leaf.prop_recursive(4, 24, 5, |inner| {
            let fields = proptest::collection::btree_map("[a-z]{1,3}", inner.clone(), 0..5).prop_map(|fields| json!(fields));
            prop_oneof![proptest::collection::vec(inner, 0..5).prop_map(|list| json!(list)), fields]
        })
    }

    proptest! {
        /// Every value of any text is found, however it is written.
        #[test]
        fn every_value_is_found(tree in tree(), is_pretty in any::<bool>()) {
            let text = if is_pretty { serde_json::to_string_pretty(&tree) } else { serde_json::to_string(&tree) }.unwrap();
            let mut all = Vec::new();
            paths(&tree, "", &mut all);
            for (path, value) in all {
                let at = locate(&text, &path).unwrap();
                let read: Value = serde_json::Deserializer::from_str(&text[at..]).into_iter().next().unwrap().unwrap();
                prop_assert_eq!(read, value);
            }
        }

        #[test]
        fn any_text(text in "[\\[\\]{}:,\"a0\\\\ ]{0,40}", path in "[a0\\.\\[\\]]{0,8}") {
            let _ = locate(&text, &path);
        }
    }
}
