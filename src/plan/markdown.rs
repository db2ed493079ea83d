//! The Markdown plan that a YAML plan carries out: its cases and sentences, to be compared word for word.
