//! Shell words, for evidence that reproduces an action by hand.

/// Quotes a word for a POSIX shell if necessary. The quoting is fixed, since [`crate::secrets`] masks secrets in
/// exactly this form; that is why crates that choose between several forms do not fit.
pub fn shell_word(text: &str) -> std::borrow::Cow<'_, str> {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    let plain = !text.is_empty() && text.bytes().all(safe);
    if plain { text.into() } else { format!("'{}'", text.replace('\'', r"'\''")).into() }
}
