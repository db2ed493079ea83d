//! Writes JSON on one line whose text contains no commands for CI servers and no characters that change how it is displayed: they are
//! escaped, so that a reader gets every value as it is.
use super::console::neutral::neutral;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// Writes a value and a line end.
pub fn write(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Escaping))?;
    out.write_all(b"\n")
}

struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        if neutral(fragment) == fragment {
            return out.write_all(fragment.as_bytes());
        }
        let (mut number_signs, mut text) = (0, String::with_capacity(fragment.len() + 8));
        for c in fragment.chars() {
            // `##vso[`: a name of letters is between the number signs and the bracket
            number_signs = match c {
                '#' => number_signs + 1,
                'a'..='z' | 'A'..='Z' if number_signs >= 2 => number_signs,
                '[' if number_signs >= 2 => {
                    text += "\\u005b";
                    number_signs = 0;
                    continue;
                }
                _ => 0,
            };
            match neutral(c.encode_utf8(&mut [0; 4])) == c.to_string() {
                true => text.push(c),
                false => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text += &format!("\\u{unit:04x}")),
            }
        }
        out.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_commands_and_keeps_values() {
        for text in [
            "##vso[task.setvariable]",
            "###[x] ##[group] #a[ ##a b[",
            "::error::x\n::add-mask::y",
            "\u{1b}[2J\u{9b}31m\u{202e}\u{feff}\u{7f}",
            "quote \" back\\slash 🎉 \u{2028}",
        ] {
            let mut out = vec![];
            write(&[text], &mut out).unwrap();
            let written = String::from_utf8(out).unwrap();
            assert_eq!(neutral(&written), written);
            assert_eq!(serde_json::from_str::<[String; 1]>(&written).unwrap()[0], text);
        }
    }
}
