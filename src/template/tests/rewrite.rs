//! What templates look like when their operators are written as calls.

use crate::template::rewrite::{Rewritten, operators};

fn check(text: &str, expected: &str) {
    let rewritten = operators(text);
    assert_eq!(rewritten.unread, None, "{text}");
    assert_eq!(rewritten.text.as_deref().unwrap_or(text), expected);
}

#[test]
fn operators_become_calls_that_bind_as_before() {
    check("{{ a < b }}", "{{ __compare(a , '<',  b) }}");
    check("{%- if not a.b|f(1) >= 2 and c %}", "{%- if not __compare(a.b|f(1) , '>=',  2) and c %}");
    check("{% for x in l if x > 1 -%}", "{% for x in l if __compare(x , '>',  1) -%}");
    check("{{ f(a<b, k=c>d)[1] }}", "{{ f(__compare(a, '<', b), k=__compare(c, '>', d))[1] }}");
    check("{{ 'y' if a > -1 else z }}", "{{ 'y' if __compare(a , '>',  -1) else z }}");
    check("{{ a < b is odd }}", "{{ __compare(a , '<',  b is odd) }}");
    check("{{ 1<x<3 }}", "{{ __compare(1, '<', x, '<', 3) }}");
    check("{{ a not in b }}", "{{ __compare(a , 'not in',  b) }}");
    check("{{ a*b+c }}", "{{ __calc(__calc(a, '*', b), '+', c) }}");
    check("{{ a+b*c|f }}", "{{ __calc(a, '+', __calc(b, '*', c|f)) }}");
    check("{{ a+b<c~d }}", "{{ __compare(__calc(a, '+', b), '<', __calc(c, '~', d)) }}");
    check("{{ (a+b)*c }}", "{{ __calc((__calc(a, '+', b)), '*', c) }}");
    check("{{ '%s' % x.y[0] }}", "{{ __calc('%s' , '%',  x.y[0]) }}");
}

#[test]
fn slices_mappings_and_what_is_kept_become_calls() {
    check("{{ x[1:] }}{{ y[:-1:2].z }}", "{{ x.__slice(1, none) }}{{ y.__slice(none, -1, 2).z }}");
    check("{{ {'a': x, 1: {}} }}", "{{ __dict('a', x, 1, __dict()) }}");
    check("{% set a.b = c -%}", "{% set a.b = __keep(c) -%}");
    check("{% set a, b = c, d %}", "{% set a, b = __keep((c, d)) %}");
    check("{% with a=b, c=1 %}", "{% with a=__keep(b), c=__keep(1) %}");
    check("{{ f([[x]]) }}{{ [] }}", "{{ f(__list(__list(x))) }}{{ __list() }}");
    check("{{ (x, [(x, 1)]) }}", "{{ __keep((x, __list((x, 1)))) }}");
    check("{% for x in 1, 2 %}", "{% for x in (1, 2) %}");
}

#[test]
fn what_needs_no_call_stays_as_it_is() {
    for same in [
        "a < b",
        "{# a < b #}",
        "{% raw %}{{ a < b }}{% endraw %}",
        "{{ '<' }}",
        "{{ x == 'a' }}{{ not 1 != y.z[0] }}",
        "{%- if a and not b or c is defined -%}",
        "{% set x %}{% set y | upper %}{% filter indent(2)|trim %}",
        "{% macro f(a, b=1) -%}{% call(x) f(*y, **z) %}{% include 'a' ~ b %}",
        "{% for k, (v, w) in d.items()|f recursive %}",
        "{{ x is divisibleby 3 and y is not none }}",
        "{{- -x -}}",
    ] {
        check(same, same);
    }
}

#[test]
fn a_tag_that_is_no_expression_is_told() {
    for wrong in ["\n{{ a < ( }}", "\n{{ a b }}", "\n{% if %}", "\n{{ x[1, 2] }}", "\n{{ a + }}"] {
        assert_eq!(operators(wrong), Rewritten { text: None, unread: Some(2) }, "{wrong}");
    }
}
