//! What the labels, column names and headings of written test plans mean.

/// The meaning of a label, a column or a heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Precondition,
    Step,
    Expected,
    Teardown,
    Id,
    /// A running number, which is not an id.
    Number,
    Title,
    /// A name that serves as title without a better one: `Scenario`, `Feature`.
    Subject,
    Description,
    Priority,
    Tier,
    Severity,
    /// Data for the steps.
    Data,
    /// Any other known field: its label and value are kept.
    Field,
}

/// Phrases with their roles. Words are in lower case and singular, without accents on English words.
const PHRASES: &[(Role, &str)] = &[
    (
        Role::Precondition,
        "precondition|pre condition|pre|prerequisite|pre requisite|prereq|pre req|setup|set up|setup step|test setup|\
         initial state|initial condition|starting state|starting condition|start state|given|assumption|\
         before you start|before you begin|before testing|setup required|required setup|setup instruction|arrange|\
         pre test|pre test setup|requirement before|initial setup|prerequisite and setup|prerequisites setup|\
         setup prerequisite|precondition setup|context given|precond|background|environment setup|\
         test environment setup|pré condição|pré condiçõe|precondição|precondiçõe|pré requisito|pre requisito|\
         precondición|precondicione|condicione previa|condición previa|condiciones previas|prerrequisito|\
         precondiciones|précondition|pré condition|prérequi|pré requi|prérequis|pré requis|vorbedingung|\
         vorbedingungen|voraussetzung|voraussetzungen|ausgangssituation|precondizione|precondizioni|prerequisiti|\
         randvoorwaarde|voorwaarden|warunki wstępne|warunek wstępny|предусловие|предусловия|передумова|передумови|\
         ön koşul|ön koşullar|önkoşul|önkoşullar|prasyarat|prakondisi|kondisi awal|điều kiện tiên quyết|\
         tiền điều kiện|điều kiện|điều kiện trước|前置条件|前提条件|前提|预置条件|事前条件|사전 조건|사전조건|전제 조건|전제조건",
    ),
    (
        Role::Step,
        "step|test step|step to reproduce|step to execute|step to test|step to perform|step to verify|step to follow|\
         reproduction step|repro step|repro|procedure|test procedure|action|test action|execution|execution step|\
         instruction|test instruction|test script|how to test|how to reproduce|step by step|when|manual step|\
         manual test step|process|flow|workflow|user action|step description|step action|step step|steps action|act|\
         activity|task|user step|action step|action taken|step/action|action/step|step and action|request|\
         test request|example request|command|run|test command|cli command|curl|do|execute|how|how to run|\
         detailed step|test execution step|test flow|user flow|main flow|operation|test execution|test case step|\
         test procedure step|test script step by step step|steps actions|test step description|testing step|\
         verification procedure|step detail|test step action|test method|method|approach|test input|what to do|\
         stimulus|walkthrough|passo|passo a passo|etapa|ação|açõe|procedimento|passos|paso|pasos|acción|accione|\
         procedimiento|étape|étapes|schritt|schritte|testschritt|testschritte|durchführung|ablauf|vorgehen|passi|\
         passaggi|azione|stappen|stap|kroki|krok|шаг|шаги|шаги воспроизведения|действие|действия|крок|кроки|adım|\
         adımlar|test adımları|langkah|langkah langkah|langkah pengujian|langkah uji|các bước|bước|\
         các bước thực hiện|bước thực hiện|các bước kiểm thử|步骤|测试步骤|操作步骤|操作|手順|テスト手順|操作手順|ステップ|단계|절차|테스트 단계|테스트 절차",
    ),
    (
        Role::Expected,
        "expected|expected result|expected outcome|expected behavior|expected behaviour|expected output|\
         expected response|expectation|expect|acceptance criteria|acceptance criterion|acceptance|pass criteria|\
         pass criterion|success criteria|success criterion|passing criteria|verification|verification step|\
         verification point|verify|verify that|validate|validation|validation step|validation point|\
         validation criteria|then|result|outcome|output|assert|assertion|check|checkpoint|what to check|\
         what to verify|what to look for|expected value|exp result|expected effect|expected state|\
         expected final state|expected post state|should|pass if|it should|desired result|desired outcome|\
         anticipated result|expected test result|expected system behavior|expected system response|system response|\
         step expected|step expected result|step expected value|steps expected result|\
         expected result and verification|expected results validation|verification checklist|validation checklist|\
         steps result|step result|expected change|expected message|expected ui|expected visual|test expected result|\
         expected visual result|test step expected result|test script step by step expected result|\
         success looks like|ensure|confirm|resultado esperado|resultados esperado|resultado|resultados esperados|\
         comportamento esperado|saída esperada|critério de aceitação|critérios de aceitação|criterio de aceptación|\
         criterios de aceptación|validação|validaçõe|résultat attendu|résultats attendus|résultat attendus|\
         résultats attendu|comportement attendu|erwartetes ergebnis|erwartete ergebnisse|erwartetes resultat|\
         erwartung|erwartetes verhalten|erwartet|ergebnis|risultato atteso|risultati attesi|verwacht resultaat|\
         verwachte resultaten|oczekiwany rezultat|oczekiwany wynik|oczekiwane rezultaty|ожидаемый результат|\
         ожидаемые результаты|очікуваний результат|очікувані результати|beklenen sonuç|beklenen sonuçlar|beklenen|\
         hasil yang diharapkan|hasil diharapkan|ekspektasi|kết quả mong đợi|kết quả mong muốn|kết quả kỳ vọng|\
         kết quả dự kiến|预期结果|期望结果|预期|期待結果|期待される結果|期待値|예상 결과|기대 결과|예상결과|기대결과",
    ),
    (
        Role::Teardown,
        "postcondition|post condition|cleanup|clean up|cleanup step|teardown|tear down|test cleanup|after test|\
         after the test|after testing|post test|post test cleanup|post test step|rollback step|pós condição|\
         pós condiçõe|postcondición|postcondicione|post condizioni|nachbedingung|nachbedingungen|aufräumen|\
         postconditions|постусловие|постусловия|постумова|后置条件|事後条件|사후 조건",
    ),
    (
        Role::Id,
        "id|test case id|testcase id|testid|tc id|tcid|test id|case id|\
         test case identifier|identifier|test identifier|key|\
         issue key|issue id|test case key|test key|tc|tc no|tc number|test case no|test case number|test number|\
         test no|case no|case number|tc #|test case #|reference id|scenario id|test scenario id|external id|\
         work item id|test reference|test case ref|id del caso|id do caso|id caso|id ca|mã tc|mã test case|\
         mã testcase|用例编号|编号|用例id|id caso de prueba|id caso de teste|test fall id|testfall id|testfall nr|テストid|\
         테스트 id|ct|ct id|id ct|id tc|id test case|id test",
    ),
    (
        Role::Number,
        "#|no|nr|number|num|n|s no|sno|sl no|sr no|serial|serial no|row|index|step #|step no|step number|test step #|\
         test step no|n°|nº|№|stt|序号|step id|order",
    ),
    (
        Role::Title,
        "title|name|summary|test case name|test case title|testcase name|testcase title|test name|test title|\
         case name|test summary|case title|scenario name|scenario title|test case|testcase|case|short description|\
         titulo|título|nombre|nome|titre|titel|bezeichnung|testfall|заголовок|название|назва|judul|tên|\
         tên test case|tiêu đề|标题|用例标题|用例名称|タイトル|テスト名|제목|test case summary|caso de prueba|caso de teste|cas de test|\
         nombre del caso|item|test item|check item",
    ),
    (
        Role::Subject,
        "scenario|test scenario|test|feature|functionality|function|feature tested|area|condition|test condition|\
         test objective|objective|purpose|goal|aim|use case|requirement tested|what|what to test|test purpose|\
         what it test|what this test|escenario|cenário|objetivo|objectif|ziel|сценарий|цель|mục tiêu|kịch bản|\
         skenario|check name|endpoint|component tested|intent|test description summary|테스트 항목|测试项|テスト項目|\
         case description|aspect|interaction|behavior|behaviour|rule|assertion name|edge case|error case|\
         thing to test",
    ),
    (
        Role::Description,
        "description|test description|test case description|detail|overview|background info|context|why|rationale|\
         summary of test|descripción|descrição|beschreibung|описание|опис|deskripsi|mô tả|描述|説明|설명|about|\
         test case detail",
    ),
    (
        Role::Priority,
        "priority|test priority|priority level|prio|importance|test case priority|prioridade|prioridad|priorité|\
         priorität|priorità|приоритет|пріоритет|öncelik|prioritas|độ ưu tiên|mức độ ưu tiên|ưu tiên|优先级|優先度|우선순위|\
         importancia|criticality|business priority|moscow|execution priority|test importance",
    ),
    (Role::Tier, "tier|test tier|level of need|gate|requirement level"),
    (Role::Severity, "severity|severity level|severidade|severidad|schweregrad|mức độ nghiêm trọng|risk level|impact"),
    (
        Role::Data,
        "data|test data|input data|input|inputs|test input data|sample data|payload|step data|parameter|example data|\
         example input|request body|test payload|body|dados|dados de teste|dato|datos de prueba|dados de entrada|\
         données|testdaten|данные|тестовые данные|data uji|dữ liệu|dữ liệu kiểm thử|dữ liệu test|测试数据|输入数据|テストデータ|\
         入力|테스트 데이터|test script step by step test data|step test data|input value|steps data",
    ),
    (
        Role::Field,
        "type|test type|category|test category|kind|related issue|related|issue|requirement|requirement id|\
         requirements covered|traceability|reference|ref|test file|file|automation|automated|automation status|\
         owner|author|tester|assignee|assigned to|status|test status|state|actual|actual result|actual outcome|\
         actual output|actual behavior|pass/fail|pass fail|pass|note|comment|remark|environment|test environment|\
         component|module|section|suite|test suite|tag|label|estimated time|estimate|duration|time|date|created|\
         created by|version|link|story|user story|platform|browser|device|role|user role|evidence|screenshot|\
         attachment|executed by|execution date|date tested|last run|risk|defect|bug|bug id|defect id|known issue|\
         if it fails|if fails|failure criteria|failure mode|fail criteria|\
         test configuration|configuration|failure|fail if|troubleshooting|technique|\
         test technique|coverage|covers|test level|level|layer|frequency|phase|sprint|release|build|\
         resultado obtido|resultado real|resultado obtenido|estado|observaçõe|observacione|tipo|módulo|modulo|\
         funcionalidade|kết quả thực tế|trạng thái|ghi chú|фактический результат|статус|комментарий|实际结果|备注|所属模块|\
         用例类型|模块|tatsächliches ergebnis|bemerkung|work item type|area path|assigned|iteration path|folder|\
         test type id|labels|test repo|test repository path|flaky|behavior type|suite id|suite parent id|created on|\
         updated on|updated by|forecast|template|milestone|verdict|not|tool|tooling|why it matters|impact if failed|\
         test result|result status|run result",
    ),
];

/// What a label means, if it is a known one. Emoji, numbering, accents of style and a text in parentheses do not count.
pub fn role(label: &str) -> Option<Role> {
    if label.len() > 120 {
        return None;
    }
    let label = label.trim();
    // what a case is for, and not what to verify
    if label.trim_matches(['*', ':', ' ']).eq_ignore_ascii_case("validates") {
        return Some(Role::Field);
    }
    if matches!(label, "#" | "№" | "n°" | "N°" | "nº" | "Nº") {
        return Some(Role::Number);
    }
    let full = normalise(label, false);
    let short = normalise(label, true);
    for phrase in [&full, &short] {
        if let Some(role) = look_up(phrase) {
            return Some(role);
        }
        for prefix in ["test ", "expected test ", "manual test ", "the ", "test case ", "case ", "detailed ", "key "] {
            if let Some(role) = phrase.strip_prefix(prefix).and_then(look_up).filter(|r| *r != Role::Field) {
                return Some(role);
            }
        }
    }
    // `Step 1`, `Expected result 2`
    if let Some((name, number)) = short.rsplit_once(' ')
        && number.bytes().all(|b| b.is_ascii_digit())
        && let Some(role @ (Role::Step | Role::Expected | Role::Precondition)) = look_up(name)
    {
        return Some(role);
    }
    // `Steps / Actions`, `Setup & Preconditions`: both sides mean the same
    let halves: Vec<&str> = label.split(['/', '&', '+']).map(str::trim).filter(|h| !h.is_empty()).collect();
    if halves.len() == 2
        && let (Some(a), Some(b)) = (look_up(&normalise(halves[0], true)), look_up(&normalise(halves[1], true)))
        && (a == b || [a, b].contains(&Role::Precondition))
    {
        return Some(a);
    }
    let (first, last) = (short.split(' ').next().unwrap_or_default(), short.split(' ').next_back().unwrap_or_default());
    let count = short.split(' ').count();
    match first {
        "precondition" | "prerequisite" if count <= 5 => Some(Role::Precondition),
        "expected" if count <= 5 => Some(Role::Expected),
        "setup" if count <= 5 && short.starts_with("setup for ") => Some(Role::Precondition),
        "cleanup" | "teardown" | "postcondition" if count <= 4 => Some(Role::Teardown),
        "step" if count <= 5 && short.starts_with("step to ") => Some(Role::Step),
        "actual" if count <= 3 => Some(Role::Field),
        _ if count <= 3 && short.ends_with("expected result") => Some(Role::Expected),
        _ if count == 2 && last == "step" => Some(Role::Step),
        _ => None,
    }
}

fn look_up(phrase: &str) -> Option<Role> {
    if phrase.is_empty() {
        return None;
    }
    static INDEX: std::sync::OnceLock<std::collections::HashMap<String, Role>> = std::sync::OnceLock::new();
    let index = INDEX.get_or_init(|| {
        let mut index = std::collections::HashMap::new();
        for (role, phrases) in PHRASES {
            for phrase in phrases.split('|') {
                index.entry(normalise(phrase, false)).or_insert(*role);
            }
        }
        index
    });
    index.get(phrase).copied()
}

/// Words in lower case; English plurals become singular. `short` drops a text in parentheses.
pub fn normalise(label: &str, short: bool) -> String {
    let mut text = String::with_capacity(label.len());
    let mut depth = 0usize;
    for c in label.chars() {
        match c {
            '(' | '[' | '（' if short => depth += 1,
            ')' | ']' | '）' if short => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            c if c.is_alphanumeric() => text.extend(c.to_lowercase()),
            '#' => text.push('#'),
            '\'' | '’' => {}
            _ => text.push(' '),
        }
    }
    let mut out = String::with_capacity(text.len());
    for (i, word) in text.split(' ').filter(|w| !w.is_empty()).enumerate() {
        // numbering in front: `3 Test Steps`, `3.1 Test Steps`
        if word.bytes().all(|b| b.is_ascii_digit()) && out.is_empty() && i < 3 {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        let plural = word.len() > 3
            && word.ends_with('s')
            && !word.ends_with("ss")
            && !word.ends_with("us")
            && !word.ends_with("is")
            && !matches!(word, "does" | "this" | "passos" | "pasos");
        out.push_str(if plural { &word[..word.len() - 1] } else { word });
    }
    out
}
