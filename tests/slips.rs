//! What newcomers type by mistake: each slip gives one message, with its place and what to do.
mod support;

use std::fs;
use support::run_in;

const PLAN: &str = r#"plan: shop
title: Orders
environment: local
cases:
  - id: SHOP-1
    title: Place an order
    tier: must
    steps:
      - step: Place an order
        do:
          - http: { request: POST /orders, json: { customer: "${run.id}" } }
            expect: { status: 201 }
            as: order
            undo:
              - http: { request: "DELETE /orders/${run.id}" }
                expect: { status: { $in: [200, 204, 404] } }
      - step: Wait for it
        do:
          - http: { request: "GET /orders/${order.body.id}" }
            eventually: 10s
            expect: { body: { state: done } }
    expected:
      - result: It is created
        check: order.status == 201
      - result: It is quick
        check: order.took < duration("5s")
"#;

const ENVIRONMENT: &str = "environments: { local: { targets: { api: { http: 'http://127.0.0.1:8098' } } } }\n";

/// A part of the plan, what was typed instead, and what the message says to do.
const SLIPS: &[(&str, &str, &str)] = &[
    // as two columns left
    (
        "            as: order\n            undo",
        "          as: order\n            undo",
        "check the indentation: `as` is in column 11, and `expect` above it in column 13",
    ),
    // expect two too deep
    (
        "            expect: { status: 201 }\n            as: order",
        "              expect: { status: 201 }\n            as: order",
        "check the indentation: `expect` is in column 15, and `http` above it in column 13",
    ),
    // tab
    (
        "            expect: { status: 201 }",
        "\t    expect: { status: 201 }",
        "check the indentation: `expect` is in column 6, and `http` above it in column 13",
    ),
    // eventualy
    ("eventually: 10s", "eventualy: 10s", "did you mean `eventually`?"),
    // https
    ("http: { request: POST", "https: { request: POST", "did you mean `http`?"),
    // body in http
    (
        "json: { customer: \"${run.id}\" }",
        "body: { customer: \"${run.id}\" }",
        "write `json: …` to send JSON, `form: …` for a form, `text: …` for anything else",
    ),
    // method url
    (
        "request: POST /orders, json",
        "method: POST, url: /orders, json",
        "write method and path together: `request: POST /orders`",
    ),
    // exec string
    (
        "- http: { request: POST /orders, json: { customer: \"${run.id}\" } }",
        "- exec: curl localhost",
        "write a map: `{ run: [curl, localhost] }`",
    ),
    // check !
    (
        "check: order.status == 201",
        "check: !(order.status == 500)",
        "quote the expression: '!has(body.x)'; an unquoted `!` starts a YAML tag",
    ),
    // hash comment
    (
        "check: order.status == 201",
        "check: order.body.name == \"a #1\"",
        "in YAML, ` #` begins a comment: put the whole expression into '…'",
    ),
    // missing ${} url
    (
        "\"GET /orders/${order.body.id}\"",
        "GET /orders/order.body.id",
        "write `${order.body.id}` for the value; quote the text if it is meant",
    ),
    // missing ${} json
    ("\"${run.id}\"", "run.id", "write `${run.id}` for the value; quote the text if it is meant"),
    // {{ }}
    ("\"${run.id}\"", "{{ run.id }}", "write `\"${run.id}\"` for a value"),
    // {{ }} in url
    (
        "\"GET /orders/${order.body.id}\"",
        "\"GET /orders/{{ order.body.id }}\"",
        "write `${order.body.id}` for the value; quote the text if it is meant",
    ),
    // $order.body.id
    (
        "\"GET /orders/${order.body.id}\"",
        "\"GET /orders/$order.body.id\"",
        "write `${order}` for the value; quote the text if it is meant",
    ),
    // ordr
    ("order.status == 201", "ordr.status == 201", "did you mean `order`?"),
    // quoted status in an expression
    ("order.status == 201", "order.status == \"201\"", "write `201`, without quotes"),
    // quoted status in a pattern
    ("expect: { status: 201 }", "expect: { status: \"201\" }", "write `201`, without quotes"),
    // a duration and a number
    ("order.took < duration(\"5s\")", "order.took < 5", "write `duration(\"5s\")`"),
    // length
    ("check: order.status == 201", "check: order.body.items.length > 0", "write `size(x)`"),
    // contains(x, y)
    ("check: order.status == 201", "check: contains(order.text, \"id\")", "write `text.contains(\"x\")`"),
    // a status alone
    ("expect: { status: 201 }", "expect: 201", "name the field: `{ status: 201 }`"),
    // a path without a slash
    ("request: POST /orders", "request: POST orders", "write `POST /orders`"),
    // JSON as text
    ("json: { customer: \"${run.id}\" }", "json: '{\"customer\": 1}'", "write the value itself: `json: { … }`"),
    // a comparison in a pattern
    ("expect: { body: { state: done } }", "expect: { body: { count: '> 5' } }", "write `{ $that: it > 5 }`"),
    // a matcher as text
    ("expect: { body: { state: done } }", "expect: { body: { state: $regex ^d } }", "write `{ $regex: ^d }`"),
    // in a text
    ("check: order.status == 201", "check: order.body.state in \"open\"", "write `\"open\".contains(x)`"),
    // a list of statuses
    ("expect: { status: 201 }", "expect: { status: [200, 201] }", "write `{ $in: [ … ] }` for one of several values"),
    // assert in a result
    ("check: order.status == 201", "assert: order.status == 201", "write `expect: { status: 200 }` for a pattern"),
    // no expected
    (
        "    expected:\n      - result: It is created\n        check: order.status == 201\n      - result: It is quick\n        check: order.took < duration(\"5s\")\n",
        "",
        "add `expected: [{ result: The order is stored, check: order.status == 201 }]`",
    ),
    // eventually 10
    ("eventually: 10s", "eventually: 10", "write it like `500ms`, `30s` or `1m30s`"),
    // = for ==
    ("order.status == 201", "order.status = 201", "write `==` to compare"),
    // and
    ("order.status == 201", "order.status == 201 and order.took < duration(\"5s\")", "write `&&`"),
    // len
    ("order.status == 201", "len(order.body) == 1", "write `size(x)`"),
    // sleep
    (
        "          - http: { request: \"GET",
        "          - sleep: 2s\n          - http: { request: \"GET",
        "to wait, write `eventually: 30s` beside a verb: it retries until `expect` and `check` hold",
    ),
    // env.HOME
    (
        "\"${run.id}\"",
        "\"${env.HOME}\"",
        "environment variables are read in environment files only: set a variable of the plan there, under `vars`",
    ),
    // tags
    (
        "    tier: must",
        "    tier: must\n    tags: [a]",
        "cases are selected by `--tier` and `--case`; `type: …` is shown in reports",
    ),
    // description
    ("    tier: must", "    tier: must\n    description: x", "write `title: …`, or a comment that begins with `#`"),
    // flow comma
    (
        "expect: { status: 201 }",
        "expect: { status: 201 body: { a: 1 } }",
        "separate the entries by `, `, and quote a string that contains `{`, `}` or `: `",
    ),
    // flow colon nospace
    ("expect: { status: 201 }", "expect: {status:201}", "write a space after the colon: `status: 201`"),
    // unquoted ${
    (
        "json: { customer: \"${run.id}\" }",
        "json: { customer: ${run.id} }",
        "quote a string with `${…}` inside `{ }` and `[ ]`",
    ),
    // unclosed quote
    (
        "\"GET /orders/${order.body.id}\"",
        "\"GET /orders/${order.body.id}",
        "a quoted string ends at its second quote: put the whole value into '…', or close a string that began earlier",
    ),
    // unclosed ${
    (
        "\"GET /orders/${order.body.id}\"",
        "\"GET /orders/${order.body.id\"",
        "close the placeholder with `}`, or write `$${` for a literal `${`",
    ),
    // json under expect wrong level
    (
        "expect: { status: 201 }",
        "expect: { status: 201, id: 7 }",
        "fields of the product's response are under `body`: `body: { id: … }`",
    ),
    // target unknown
    (
        "json: { customer: \"${run.id}\" } }",
        "json: { customer: \"${run.id}\" } }\n            target: shop",
        "will be blocked in `local`: the environment `local` has no target `shop`",
    ),
    // db without target
    (
        "check: order.status == 201",
        "do: [{ db: { sql: select 1 }, expect: { rows: [{ x: 1 }] } }]",
        "will be blocked in `local`: the environment `local` has no target for `db`",
    ),
    // or
    ("order.status == 201", "order.status == 201 or order.status == 200", "write `||`"),
    // not
    ("order.status == 201", "not order.failed", "write `!` for not: `!has(body.error)`"),
    // ===
    ("order.status == 201", "order.status === 201", "write `==` or `!=`, without a third `=`"),
    // null none
    ("order.status == 201", "order.body.x == None", "write `null`"),
    // True
    ("order.status == 201", "order.body.x == True", "write `true`"),
    // single quote dup key
    (
        "expect: { status: 201 }",
        "expect: { status: 201 }\n            expect: { body: {} }",
        "remove one of the two, or merge them",
    ),
    // missing dash
    ("          - http: { request: POST", "            http: { request: POST", "begin each entry with `- `"),
    // Given case
    ("      - step: Place an order", "      - Step: Place an order", "did you mean `step`?"),
    // request lower
    ("request: POST /orders", "request: post /orders", "did you mean `POST`?"),
    // tier MUST
    ("tier: must", "tier: MUST", "did you mean `must`?"),
    // priority missing id
    ("  - id: SHOP-1\n    title", "  - title", "add `id: TC-1`"),
    // expect eventually wrong
    ("eventually: 10s", "timeout: 10", "write it like `500ms`, `30s` or `1m30s`"),
    // wait
    (
        "eventually: 10s",
        "wait: 10s",
        "to wait, write `eventually: 30s` beside a verb: it retries until `expect` and `check` hold",
    ),
    // retry
    (
        "eventually: 10s",
        "retries: 3",
        "to wait, write `eventually: 30s` beside a verb: it retries until `expect` and `check` hold",
    ),
    // in string
    (
        "order.status == 201",
        "\"x\" in order.text",
        "a quoted string ends at its second quote: put the whole value into '…', or close a string that began earlier",
    ),
    // regex =~
    ("order.status == 201", "order.text =~ \"x\"", "write `text.matches(\"x\")`"),
    // ternary py
    ("order.status == 201", "1 if order else 2", "write `condition ? a : b`"),
    // jsonpath
    ("order.status == 201", "$.order.status == 201", "write the name without `$`"),
    // percent var
    (
        "\"GET /orders/${order.body.id}\"",
        "\"GET /orders/%s\"",
        "write `${name}` for the value; quote the text if it is meant",
    ),
    // <id>
    (
        "\"GET /orders/${order.body.id}\"",
        "\"GET /orders/<id>\"",
        "write `${id}` for the value; quote the text if it is meant",
    ),
    // :id
    (
        "\"GET /orders/${order.body.id}\"",
        "\"GET /orders/:id\"",
        "write `${id}` for the value; quote the text if it is meant",
    ),
    // {id}
    (
        "\"GET /orders/${order.body.id}\"",
        "\"GET /orders/{id}\"",
        "write `${id}` for the value; quote the text if it is meant",
    ),
];

fn check(plan: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plan.yaml"), plan).unwrap();
    fs::write(folder.path().join("tp-runner.yaml"), ENVIRONMENT).unwrap();
    run_in(folder.path(), &["check", "plan.yaml", "--env", "local"]).text()
}

#[test]
fn the_plan_without_slips_has_no_problems() {
    assert_eq!(check(PLAN), "plan.yaml: 1 case, no problems\n");
}

#[test]
fn each_slip_gives_one_message_with_its_place_and_what_to_do() {
    let mut wrong = vec![];
    for (from, to, help) in SLIPS {
        assert!(PLAN.contains(from), "{from}");
        let output = check(&PLAN.replacen(from, to, 1));
        let messages =
            ["error[", "warning[", " will be blocked in"].iter().map(|m| output.matches(m).count()).sum::<usize>();
        let has_place = output.contains("--> plan.yaml:") || output.contains("SHOP-1 will be blocked");
        if messages != 1 || !has_place || !output.contains(help) {
            wrong.push(format!("{to}\n  expected: {help}\n{output}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SLIPS.len(), wrong.join("\n"));
}
