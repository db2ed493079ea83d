//! Tells HTML tags from other text in angle brackets.

/// Elements that are markup; everything else in angle brackets is text, such as `<username>`.
const ELEMENTS: &str = " a abbr address article aside b big blockquote body br button caption center cite code col \
     colgroup dd del details dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 head header hr html i \
     img input ins kbd label li main mark meta nav ol p picture pre q s samp section small source span strike \
     strong style sub summary sup svg table tbody td tfoot th thead title tr tt u ul var video wbr ";

/// Name of a tag in lower case, and whether it closes.
pub fn name(tag: &str) -> Option<(String, bool)> {
    let inner = tag.strip_prefix('<')?.strip_suffix('>')?;
    let closes = inner.starts_with('/');
    let inner = inner.trim_start_matches('/');
    let name: String = inner.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
    (!name.is_empty()).then(|| (name.to_ascii_lowercase(), closes))
}

/// Whether the tag is `<br>` or ends a paragraph.
pub fn is_break(tag: &str) -> bool {
    name(tag).is_some_and(|(name, closes)| name == "br" || name == "p" || (closes && (name == "div" || name == "li")))
}

/// Whether the tag is HTML markup or a comment.
pub fn is_markup(tag: &str) -> bool {
    tag.starts_with("<!") || tag.starts_with("<?") || name(tag).is_some_and(|(name, _)| is_element(&name))
}

/// Where the tag at the start of a text ends. Tags are short.
pub fn tag_end(text: &str) -> Option<usize> {
    text.bytes().take(1000).position(|b| b == b'>')
}

pub fn is_element(name: &str) -> bool {
    ELEMENTS.contains(&format!(" {name} "))
}
