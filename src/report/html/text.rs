//! Foreign text as HTML: it stays text wherever it stands, and a printed report contains no commands for terminals or CI servers.
use crate::report::wording::sanitize;
use maud::{Markup, Render, html};

/// A text of the plan or the product.
pub struct Text<'t>(pub &'t str);

impl Render for Text<'_> {
    fn render_to(&self, out: &mut String) {
        let text = sanitize(self.0);
        // `##vso[task.complete]`
        let has_number_signs = text.contains("##");
        let mut previous = ' ';
        for c in text.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                '[' if has_number_signs => out.push_str("&#91;"),
                // `::error::`
                ':' if previous == ':' => out.push_str("&#58;"),
                _ => out.push(c),
            }
            previous = c;
        }
    }
}

/// A text on one line, with its parts in backticks as code.
pub fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    let are_paired = parts.len() % 2 == 1;
    html! {
        @if are_paired {
            @for (i, part) in parts.iter().enumerate() {
                @if i % 2 == 1 { code { (Text(part)) } } @else { (Text(part)) }
            }
        } @else {
            (Text(text))
        }
    }
}

/// A sentence of the plan: prose, or a block such as a sample response in JSON.
pub fn plan_text(text: &str) -> Markup {
    let text = text.trim();
    if !text.contains('\n') {
        return html! { span.plan-text { (prose(text)) } };
    }
    let block = match text.strip_prefix("```").and_then(|t| t.split_once('\n')) {
        Some((_, rest)) => rest.trim_end().trim_end_matches('`').trim_end(),
        None => text,
    };
    html! { code.plan-text.block { (Text(block)) } }
}

/// The `id` of an element for an address such as `TC-INT-003/steps/2`, and the fragment of a link to it. Different addresses give
/// different ids.
pub fn id(address: &str) -> String {
    let mut id = "case-".to_owned();
    for c in address.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => id.push(c),
            '/' => id.push('.'),
            _ => id += &format!("_{:x}_", c as u32),
        }
    }
    id
}
