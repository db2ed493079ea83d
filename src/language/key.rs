//! A key of a map in plans and environment files, and what may be written under it.
use std::fmt;

/// A key, with what may be written under it. The keys of verbs have no meaning here: their manuals explain them.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub required: bool,
    pub shape: Shape,
    /// One phrase; empty if the manual of a verb explains the key.
    pub meaning: &'static str,
}

impl Key {
    /// A key that may be missing, and is explained elsewhere.
    pub const fn new(name: &'static str, shape: Shape) -> Key {
        Key { name, required: false, shape, meaning: "" }
    }

    #[must_use]
    pub const fn required(self) -> Key {
        Key { required: true, ..self }
    }

    #[must_use]
    pub const fn means(self, meaning: &'static str) -> Key {
        Key { meaning, ..self }
    }
}

/// What may be written under a key. `Display` says it in words: "list of texts".
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Any value, with placeholders.
    Any,
    /// Nothing: `k8s:` alone.
    Null,
    /// A string, or a number or boolean as it is spelled.
    Text,
    Path,
    Name,
    Expression,
    /// `30s`, or a placeholder.
    Duration,
    /// `64 KiB`.
    Size,
    /// A whole number.
    Number,
    Bool,
    /// `true` and nothing else.
    True,
    /// One of these words.
    Word(&'static [&'static str]),
    /// What a value must look like.
    Pattern,
    /// A text with a placeholder: `${names}`.
    Placeholder,
    List(&'static Shape),
    /// A map with any keys.
    MapOf(&'static Shape),
    /// A map with keys of these groups.
    Keys(&'static [&'static [Key]]),
    /// The first is the usual one.
    Either(&'static [Shape]),
    /// A verb with the keys beside it.
    Action,
    /// A verb with the settings of a target.
    Target,
    /// A verb that an executor performs.
    Verb,
    /// The key of [`super::BUILTIN_VERBS`] `use`: one action with its inputs.
    Use,
}

pub const ACTIONS: Shape = Shape::List(&Shape::Action);
pub const TEXTS: Shape = Shape::List(&Shape::Text);
pub const VALUES: Shape = Shape::MapOf(&Shape::Any);
pub const EXPRESSIONS: Shape = Shape::MapOf(&Shape::Expression);

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, words: &[String]| match words {
            [] => Ok(()),
            [one] => write!(f, "{one}"),
            [first @ .., last] => write!(f, "{} or {last}", first.join(", ")),
        };
        match self {
            Shape::Any => f.write_str("any value"),
            Shape::Null => f.write_str("nothing"),
            Shape::Text => f.write_str("text"),
            Shape::Path => f.write_str("path"),
            Shape::Name => f.write_str("name"),
            Shape::Expression => f.write_str("expression"),
            Shape::Duration => f.write_str("duration"),
            Shape::Size => f.write_str("size"),
            Shape::Number => f.write_str("number"),
            Shape::Bool => f.write_str("true or false"),
            Shape::True => f.write_str("true"),
            Shape::Word(words) => list(f, &words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>()),
            Shape::Pattern => f.write_str("pattern"),
            Shape::Placeholder => f.write_str("placeholder"),
            Shape::List(shape) => write!(f, "list of {}", shape.plural()),
            Shape::MapOf(shape) => write!(f, "map of {}", shape.plural()),
            Shape::Keys(groups) => {
                let names: Vec<_> =
                    groups.iter().flat_map(|keys| keys.iter()).map(|k| format!("`{}`", k.name)).collect();
                write!(f, "map with {}", names.join(", "))
            }
            Shape::Either(shapes) => list(f, &shapes.iter().map(Shape::to_string).collect::<Vec<_>>()),
            Shape::Action => f.write_str("action"),
            Shape::Target => f.write_str("target"),
            Shape::Verb => f.write_str("verb"),
            Shape::Use => f.write_str("map of an action to its inputs"),
        }
    }
}

impl Shape {
    fn plural(&self) -> String {
        match self {
            Shape::Any => "values".into(),
            Shape::Keys(_) | Shape::List(_) | Shape::MapOf(_) | Shape::Either(_) | Shape::Bool | Shape::Null => {
                format!("items, each a {self}")
            }
            other => format!("{other}s"),
        }
    }
}
