use crate::testing::{parse, render, with_body};
use crate::yaml::Kind;

/// Every example in a manual compiles: actions in a list, targets in a map.
#[test]
fn examples_in_manuals_compile() {
    let registry = super::registry();
    for verb in registry.verbs() {
        let manual = registry.get(verb).unwrap().manual();
        let mut examples = 0;
        for block in manual.split("```yaml\n").skip(1).filter_map(|b| b.split("```").next()) {
            let node = parse(block);
            if let Kind::Seq(actions) = &node.kind {
                for (key, body) in actions.iter().flat_map(|a| a.entries()) {
                    let Some(executor) = registry.get(&key.key_text()) else { continue };
                    let (_, problems) = with_body(body, |body| executor.compile(body));
                    assert_eq!(problems.0.len(), 0, "{}", render(&problems));
                    examples += 1;
                }
            }
            for (_, target) in node.entries() {
                let Some(executor) = target.entries().iter().find_map(|(k, _)| registry.get(&k.key_text())) else {
                    continue;
                };
                let (_, problems) = with_body(target, |body| executor.target(body));
                assert_eq!(problems.0.len(), 0, "{}", render(&problems));
                examples += 1;
            }
        }
        assert!(examples > 0, "the manual of `{verb}` has no example");
    }
}
