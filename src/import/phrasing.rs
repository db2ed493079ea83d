//! Tells instructions from expected results by their words.

/// Verbs that begin an instruction.
const VERBS: &str = "|open|click|tap|press|enter|type|fill|select|choose|go|navigate|login|log|sign|logout|create|\
     delete|remove|add|edit|update|send|submit|post|get|put|patch|call|run|execute|start|stop|restart|launch|\
     install|uninstall|upload|download|drag|drop|scroll|hover|swipe|close|refresh|reload|wait|set|change|switch|\
     toggle|enable|disable|turn|copy|paste|save|load|import|export|deploy|configure|connect|disconnect|build|clone|\
     visit|browse|search|filter|sort|move|resize|rename|repeat|perform|use|try|attempt|attach|pick|leave|keep|\
     insert|register|clear|trigger|simulate|invoke|issue|request|make|generate|write|read|apply|unplug|plug|reboot|\
     boot|kill|pause|resume|play|record|take|provide|view|look|inspect|query|fetch|approve|reject|cancel|confirm|\
     accept|dismiss|expand|collapse|focus|zoom|rotate|pass|push|pull|checkout|commit|mark|assign|invite|share|block|\
     unblock|follow|unfollow|purchase|buy|pay|place|proceed|continue|return|exit|quit|prepare|given|\
     place|bring|put|hold|double|right|let|ask|tell|give|find|locate|modify|replace|schedule|publish|subscribe|\
     unsubscribe|measure|compare|monitor|upgrade|downgrade|rollback|restore|back|ssh|curl|cd|npm|docker|kubectl|re|\
     rerun|inject|rollback|reproduce|cause|force|interrupt|reconnect|exercise|generate|work|walk|\
     tilt|shake|speak|listen|count|note|stage|merge|boot|attempt|flip|activate|deactivate|launch|query|consult|\
     observe|show|demonstrate|scan|";

/// Words that begin the demand for a result.
const DEMANDS: &str = "|verify|check|ensure|confirm|assert|validate|expect|expected|see|observe|make sure|verificar|\
     validar|comprobar|prüfen|убедиться|проверить|should|";

/// Whether the text begins with an imperative.
pub fn is_instruction(text: &str) -> bool {
    if text.starts_with(['"', '“', '`', '\'']) {
        return false;
    }
    let lower = text.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    let link = |w: &&str| matches!(*w, "then" | "now" | "next" | "finally" | "also" | "and" | "please" | "again");
    let first = words.find(|w| !link(w)).unwrap_or_default();
    !first.is_empty() && VERBS.contains(&format!("|{first}|"))
}

/// Whether the text demands a result: `Verify that …`, `… should …`.
pub fn is_demand(text: &str) -> bool {
    let lower = text.to_lowercase();
    let first: String =
        lower.chars().skip_while(|c| !c.is_alphanumeric()).take_while(|c| c.is_alphanumeric()).collect();
    (!first.is_empty() && DEMANDS.contains(&format!("|{first}|")))
        || lower.starts_with("make sure")
        || is_outcome(&lower)
}

/// Whether the text describes a state or reaction, rather than a place or an instruction.
pub fn is_outcome(text: &str) -> bool {
    const MARKS: &[&str] = &[
        "should",
        "must",
        "is",
        "are",
        "shows",
        "show",
        "shown",
        "displays",
        "display",
        "displayed",
        "appears",
        "appear",
        "opens",
        "returns",
        "return",
        "returned",
        "redirects",
        "redirected",
        "visible",
        "success",
        "successful",
        "successfully",
        "fails",
        "fail",
        "loads",
        "loaded",
        "disabled",
        "enabled",
        "error",
        "receives",
        "received",
        "gets",
        "works",
        "becomes",
        "remains",
        "stays",
        "contains",
        "created",
        "deleted",
        "updated",
        "saved",
        "sent",
        "rejected",
        "accepted",
        "denied",
        "hidden",
        "removed",
        "added",
        "closes",
        "starts",
        "stops",
        "no",
        "not",
        "cannot",
        "ok",
        "true",
        "false",
        "200",
        "201",
        "202",
        "204",
        "400",
        "401",
        "403",
        "404",
        "409",
        "422",
        "429",
        "500",
        "503",
        "has",
        "have",
        "will",
        "does",
        "expected",
        "message",
        "toast",
        "changes",
        "changed",
        "updates",
        "logged",
        "valid",
        "invalid",
        "pass",
        "passes",
        "closed",
        "played",
        "plays",
        "prompted",
        "exists",
        "navigates",
        "lands",
        "sees",
    ];
    text.split(|c: char| !c.is_alphanumeric()).any(|w| !w.is_empty() && MARKS.contains(&w.to_lowercase().as_str()))
}

/// Whether a text that begins like an instruction states a fact: `Search bar filters the list`.
pub fn is_statement(text: &str) -> bool {
    const VERBS: &[&str] = &[
        "works",
        "shows",
        "opens",
        "displays",
        "display",
        "navigates",
        "filters",
        "increments",
        "loads",
        "appears",
        "redirects",
        "returns",
        "closes",
        "updates",
        "persists",
        "is",
        "are",
        "plays",
        "renders",
        "scrolls",
        "toggles",
        "triggers",
        "saves",
        "succeeds",
        "fails",
        "responds",
        "sends",
        "appear",
        "load",
        "work",
    ];
    text.split(|c: char| !c.is_alphanumeric()).skip(1).take(6).any(|w| VERBS.contains(&w))
}
