//! One table: template, and what Jinja2 makes of it.

use super::*;

#[test]
fn values_filters_and_statements_print_as_in_jinja2() {
    let mut wrong = Vec::new();
    for (template, expected) in [
        (
            "{{ 'a b c'.rsplit(' ', 1) }} {{ ' a  b '.rsplit() }} {{ 'a,b'.rsplit(',') }}",
            "['a b', 'c'] ['a', 'b'] ['a', 'b']",
        ),
        (
            "{{ 'abc'.index('c') }} {{ 'abca'.rindex('a') }} {{ 'Ab'.swapcase() }} {{ [1,2].index(2) }}",
            "2 3 aB 1",
        ),
        (
            "{{ 'ab'.center(6,'*') }} {{ 'ab'.ljust(4) }}| {{ 'ab'.rjust(4) }}| {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }}",
            "**ab** ab  |   ab| 007 -007",
        ),
        ("{{ 'abc'.center(6,'*') }} {{ 'abc'.center(4,'*') }} {{ 'ab'.center(5,'*') }}", "*abc** abc* **ab*"),
        (
            "{{ 'a-b'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'ab'.partition('-') }}",
            "('a', '-', 'b') ('a-b', '-', 'c') ('ab', '', '')",
        ),
        (
            "{{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ {'a': 1}.copy() }} {{ [1].copy() }}",
            "bc ab {'a': 1} [1]",
        ),
        ("{{ \"<a href='x'>&\\\"\"|e }}", "&lt;a href=&#39;x&#39;&gt;&amp;&#34;"),
        ("{{ 'a & b/c'|urlencode }}", "a%20%26%20b/c"),
        (
            "{{ [1,2,3]|batch(linecount=2, fill_with=0)|list }} {{ [1,2,3]|slice(slices=2)|list }}",
            "[[1, 2], [3, 0]] [[1, 2], [3]]",
        ),
        ("{{ 'a' is sequence }} {{ {} is sequence }} {{ 3 is sequence }}", "True True False"),
        ("{{ [x] }}", "[Undefined]"),
        ("{{ x is none }}", "False"),
        ("{{ x is string}}", "False"),
        ("{{ d.y|default('a') }}", "a"),
        ("{{ 1 if false }}", ""),
        ("{% set q = x %}{{ q is defined }}", "False"),
        ("{{ x|default }}", ""),
        ("{{ none|default('a') }}", "None"),
        ("{{ d.get('q') }}", "None"),
        ("{{ l[7] is defined }}", "False"),
        ("{{ {'a':1}|tojson }}", "{\"a\": 1}"),
        ("{{ 'a<b'|tojson }}", "\"a\\u003cb\""),
        ("{{ 'ab cd ef gh ij'|truncate(8) }}", "ab..."),
        ("{{ 'Foo bar baz'|truncate(9,True,'..',0) }}", "Foo bar.."),
        ("{{ 3.7|round }}", "4.0"),
        ("{{ 3|round }}", "3"),
        ("{{ 2.5|round }}", "2.0"),
        ("{{ 2.675|round(2) }}", "2.67"),
        ("{{ 42.55|round(1,'floor') }}", "42.5"),
        ("{{ 'hello world foo-bar'|title }}", "Hello World Foo-Bar"),
        ("{{ \"it's o'neil\"|title }}", "It's O'neil"),
        ("{{ 'a b  c'|wordcount }}", "3"),
        (
            "{{ 7/2 }} {{ 8/2 }} {{ 7//2 }} {{ -7//2 }} {{ -7%3 }} {{ 2**3 }} {{ 2**-1 }}",
            "3.5 4.0 3 -4 2 8 0.5",
        ),
        ("{{ (1,2) }} {{ (1,) }} {{ [] }} {{ {} }} {{ {1:'a'} }}", "(1, 2) (1,) [] {} {1: 'a'}"),
        (
            "{{ \"a'b\" }} {{ [\"a'b\", 'c\"d', \"e'f\\\"g\", 'h\\n', 'é'] }}",
            "a'b [\"a'b\", 'c\"d', 'e\\'f\"g', 'h\\n', 'é']",
        ),
        ("{{ '%s-%d'|format('a', 3) }}", "a-3"),
        ("{{ '%05.2f|%-5s|%x'|format(3.14159,'ab',255) }}", "03.14|ab   |ff"),
        ("{{ '{} {:>5} {x}'.format(1, 'a', x=3) }}", "1     a 3"),
        ("{{ 'a\nb\n\nc'|indent(2) }}", "a\n  b\n\n  c"),
        ("{{ 'a\nb\n\nc\n'|indent(2, true) }}|", "  a\n  b\n\n  c\n|"),
        ("{{ [3,1,2]|sort }} {{ ['b','A','c']|sort }}", "[1, 2, 3] ['A', 'b', 'c']"),
        ("{{ {'b':1,'a':2}|dictsort }}", "[('a', 2), ('b', 1)]"),
        (
            "{{ [1,2,3,4,5]|batch(2)|list }} {{ [1,2,3,4,5]|batch(2,'x')|list }}",
            "[[1, 2], [3, 4], [5]] [[1, 2], [3, 4], [5, 'x']]",
        ),
        ("{{ [1,2,3,4,5]|slice(2)|list }}", "[[1, 2, 3], [4, 5]]"),
        ("{{ 'aXbX'|replace('X','y',1) }}", "aybX"),
        ("{{ [1,2]|sum }} {{ []|first is defined }}", "3 False"),
        ("{{ [1,2,1]|unique|list }}", "[1, 2]"),
        ("{{ [1,2]|map('string')|list }}", "['1', '2']"),
        ("{{ true + 1 }} {{ 'a' * 3 }} {{ [1] + [2] }}", "2 aaa [1, 2]"),
        ("{{ 'abc'[1] }} {{ 'abc'[-1] }} {{ 'abc'[1:] }}", "b c bc"),
        ("{{ '12x'|int }} {{ '12'|int(5) }} {{ 'x'|int(5) }} {{ '3.7'|int }} {{ none|int }}", "0 12 5 3 0"),
        ("{{ 'x'|float }} {{ '3'|float }}", "0.0 3.0"),
        ("{{ 'abc'|capitalize }} {{ 'aBC dE'|capitalize }}", "Abc Abc de"),
        ("{{ ' a '|trim }}|", "a|"),
        ("{{ 'a,b'.split(',') }}", "['a', 'b']"),
        ("{{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' == 1 }}", "True True False"),
        ("{{ [1,2,3]|last }}{{ [1,2]|reverse|list }}{{ 'abc'|reverse }}", "3[2, 1]cba"),
        ("{{ 5|string ~ 3 }} {{ none ~ true ~ 1.0 ~ [1] ~ {'a':none} }}", "53 NoneTrue1.0[1]{'a': None}"),
        ("{{ d|length }}{{ 'abc'|count }}", "13"),
        ("{{ 3|abs }} {{ -3.5|abs }}", "3 3.5"),
        ("{{ [1,2,3]|select('odd')|list }} {{ [d]|selectattr('a')|list}}", "[1, 3] [{'a': 1}]"),
        (
            "{{ 'x'|default('y', true) }} {{ ''|default('y', true) }} {{ ''|default(default_value='y', boolean=true) }}",
            "x y y",
        ),
        ("{{ [{'a':1}]|map(attribute='b')|list }}", "[Undefined]"),
        ("{{ [{'a':1}]|map(attribute='b', default='z')|list }}", "['z']"),
        ("{{ [[1,2],[3]]|sum(start=[]) }}", "[1, 2, 3]"),
        ("{{ 'a'|center(5) }}|", "  a  |"),
        ("{{ {'a':1}|items|list }}", "[('a', 1)]"),
        ("{% for k, v in {'a':1}.items() %}{{k}}={{v}}{{ loop.last }}{% endfor %}", "a=1True"),
        ("{% set c = cycler(1,2) %}{{ c.next() }}{{c.next()}}{{ c.next() }}", "121"),
        ("{% set j = joiner(',') %}{{ j() }}a{{ j() }}b", "a,b"),
        ("{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{{ ns.a }}", "2"),
        ("{{ [x]|length }}", "1"),
        (
            "{{ 5.0 }} {{ 100000000000000000000 }} {{ -0.0 }} {{ 1e400 }}",
            "5.0 100000000000000000000 -0.0 inf",
        ),
        ("{{ 5 is divisibleby 5 }}", "True"),
        ("{{ d is mapping }} {{ l is sequence }}", "True True"),
        (
            "{{ {'a':[1,2.5,none,true,'x']}|tojson }} {{ {'a':1,'b':[1]}|tojson(indent=2) }}",
            "{\"a\": [1, 2.5, null, true, \"x\"]} {\n  \"a\": 1,\n  \"b\": [\n    1\n  ]\n}",
        ),
        ("{{ 'é'|tojson }}", "\"\\u00e9\""),
        ("{{ 'abc'|list }}", "['a', 'b', 'c']"),
        ("{{ 'ab'|first }}{{ 'ab'|last}}", "ab"),
        ("{{ ['a','B']|max }} {{ [1,3,2]|min }} {{ [3,1]|sort(reverse=true) }}", "B 1 [3, 1]"),
        ("{{ 'a b c'.split()[0] }}", "a"),
        ("{{ 'a'.join(['x','y']) }}", "xay"),
        ("{{ 'x y'.title() }}", "X Y"),
        ("{{ l|join }} {{ [1,none,true,2.0]|join('-') }}", "12 1-None-True-2.0"),
        ("{{ d }}{{ l }}", "{'a': 1}[1, 2]"),
        ("{{ 3 if x is defined else 4 }}", "4"),
        ("{{ d.items()|list }} {{ d.keys()|list }}", "[('a', 1)] ['a']"),
        ("{{ range(1, 6, 2)|list }}", "[1, 3, 5]"),
        (
            "{{ 1e16 }} {{ 1e15 }} {{ 1e22 }} {{ 0.0001 }} {{ 1.5e-5 }}",
            "1e+16 1000000000000000.0 1e+22 0.0001 1.5e-05",
        ),
        ("{{ n }} {{ n is none }} {{ n|default('x') }} {{ n|default('x', true) }}", "None True None x"),
        ("{{ 'a b'|center(6) }}|{{ 'abc'|center(6) }}|{{ 'ab'|center(5) }}|", " a b  | abc  |  ab |"),
        ("{{ 'a\\n\\nb'|indent(2, blank=true) }}", "a\n  \n  b"),
        ("{{ 'x'|indent('> ', true) }}", "> x"),
        (
            "{{ [1, 'a', none, 2.5]|join(', ') }} {{ [{'k': 1}, {'k': 2}]|join('/', attribute='k') }}",
            "1, a, None, 2.5 1/2",
        ),
        (
            "{{ {'b': [1, {'z': 'é<'}], 'a': 0.1}|tojson }}",
            "{\"a\": 0.1, \"b\": [1, {\"z\": \"\\u00e9\\u003c\"}]}",
        ),
        ("{{ [1, 'x']|tojson(indent=2) }}", "[\n  1,\n  \"x\"\n]"),
        (
            "{{ 'ab cd ef gh ij'|truncate(8, true) }} {{ 'ab cd ef'|truncate(5) }} {{ 'abcdefghijkl'|truncate(5, leeway=0, end='!') }}",
            "ab cd... ab cd ef abcd!",
        ),
        (
            "{{ '  7 '|int }} {{ 'zz'|int(-1) }} {{ true|int }} {{ 3.9|int }} {{ '1.5'|float }} {{ 'q'|float(2) }}",
            "7 -1 1 3 1.5 2",
        ),
        ("a\n\n{% if true %}\nb\n{%- endif %}\n", "a\n\n\nb\n"),
        ("{% macro m(a, b='q') -%}<{{ a }}{{ b }}>{%- endmacro %}{{ m(1) }}{{ m(2, b=3) }}", "<1q><23>"),
        (
            "{% for i in [1,2,3] %}{% if not loop.first %}, {% endif %}{{ i }}{% else %}none{% endfor %}",
            "1, 2, 3",
        ),
        ("{% set x %}a{{ 1 }}b{% endset %}[{{ x }}]", "[a1b]"),
        ("{% raw %}{{ x }}{% endraw %}{# c #}", "{{ x }}"),
        ("{{ [[1, 'a'], (2,), {'k': (1, none)}] }}", "[[1, 'a'], (2,), {'k': (1, None)}]"),
        ("{{ \"%d%%\"|format(5) }} {{ 'a' if n is none else 'b' }}", "5% a"),
        ("{{ 'a-b_c d'|wordcount }} {{ ''|wordcount }}", "3 0"),
        (
            "{{ 10 // 3 }} {{ 10 % 3 }} {{ 10 / 5 }} {{ 2 ** 10 }} {{ 1 + 2.0 }} {{ 0.1 + 0.2 }}",
            "3 1 2.0 1024 3.0 0.30000000000000004",
        ),
        (
            "{{ [3, 1, 2]|sort(reverse=true)|first }} {{ ['b', 'a']|sort|join }} {{ [1, 2, 3, 4]|sum }} {{ 'abc'|upper|lower|title }}",
            "3 ab 10 Abc",
        ),
        ("{{ [1, 2, 3][1:] }} {{ [1, 2, 3][-1] }} {{ 'hello'[::-1] }}", "[2, 3] 3 olleh"),
        ("{{ d.get('a') }} {{ d.get('z', 'q') }} {{ 'a' in d }} {{ d['a'] }}", "1 q True 1"),
        ("{% for k, v in d.items() %}{{ k }}:{{ v }}{% endfor %}", "a:1"),
        ("{{ 'x' ~ 1 ~ none ~ true }}", "x1NoneTrue"),
        ("{{ '\\t\\x07\\u200b' ~ 'z' }} {{ ['\\t\\x07\\u200b'] }}", "\t\u{7}\u{200b}z ['\\t\\x07\\u200b']"),
        ("{{ {'a': 1, 'b': 2}|dictsort(false, 'value')|first }}", "('a', 1)"),
        ("{{ {'a': 1}|length }} {{ {} or 'empty' }} {{ [] and 1 }}", "1 empty []"),
        (
            "{{ 'One two'.split() }} {{ 'a,b,c'.split(',', 1) }} {{ ' x '.strip() }}{{ 'abc'.startswith('a') }}{{ 'a'.replace('a', 'b') }}",
            "['One', 'two'] ['a', 'b,c'] xTrueb",
        ),
    ] {
        match render(template, &vars()) {
            Ok(text) if text == expected => (),
            other => wrong.push(format!("{template}\n  expected {expected:?}\n  got {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// Invariant I60
#[test]
fn undefined_values_fail_wherever_jinja2_fails() {
    for template in [
        "{{ x == 1 }}",
        "{{ x != 1 }}",
        "{{ x < 1 }}",
        "{{ 1 in x }}",
        "{{ x in [1] }}",
        "{{ x ~ 'a' }}",
        "{{ 'a' ~ x }}",
        "{{ x is iterable }}",
        "{{ [1,x]|join(',') }}",
        "{{ x|length }}",
        "{{ x|upper }}",
        "{{ x|int }}",
        "{{ x|string }}",
        "{{ x|list }}",
        "{{ x.y|default('a') }}",
        "{{ d.y.z|default('a') }}",
        "{{ not x }}",
        "{{ x or 1 }}",
        "{{ x and 1 }}",
        "{{ 1 if x else 2}}",
        "{{ d['q'] }}",
        "{{ l[7] }}",
        "{{ x.a }}",
        "{{ d.a.b.c }}",
        "{{ x|groupby('a') }}",
        "{{ ','.join(x) }}",
        "{{ [1]|join(x) }}",
        "{{ dict(x) }}",
        "{{ x|xmlattr }}",
        "{{ x|first }}",
        "{{ x|float(1) }}",
        "{{ [x]|select|list }}",
        "{{ [d, {'a': 2}]|map(attribute='nope')|sort|list }}",
        "{{ [x]|unique|list }}",
        "{{ [2,1]|sort(reverse=x) }}",
        "{{ 'a'|indent(x) }}",
        "{{ 'a'|center(x) }}",
        "{{ 1.5|round(x) }}",
        "{{ 'q'|int(x) }}",
        "{{ [1]|sum(start=x) }}",
        "{{ [1]|map(x)|list }}",
        "{{ [1]|select('eq', x)|list }}",
        "{{ {}.get(x, 5) }}",
        "{{ 'a'.strip(x) }}",
        "{{ 'a'.split(x) }}",
        "{{ [].extend(x) }}",
    ] {
        check_error(template, "undefined");
    }
    check_error("{{ nope|groupby('a') }}", "`nope` is undefined");
    for template in
        ["{{ [d]|selectattr('x') }}", "{{ [d]|rejectattr('x') }}", "{{ [d]|unique(attribute='x') }}"]
    {
        check_error(template, "an item has no `x`");
    }
    check("{{ [d]|selectattr('nope', 'defined')|list }}{{ [1]|map('default', x)|list }}", "[][1]");
    check(
        "{{ {}.get('a', x) is defined }}{{ [x, 1]|select('defined')|list }}{{ 'a'|default(x) }}",
        "False[1]a",
    );
    check("{{ x|d|upper }}{{ [x]|first is defined }}{{ [x]|length }}", "False1");
    check(
        "{{ namespace(a=x).a is defined }}{% set q = [] %}{% set _ = q.append(x) %}{{ q }}",
        "False[Undefined]",
    );
}

#[test]
fn integer_keys_fall_back_to_their_text_and_back() {
    check("{{ d2[1] }} {{ d2['1'] }} {{ s[1] }} {{ s['1'] }} {{ d2.get('1') }}", "one one one one one");
    check_error("{{ previous_outputs[9] }}", "previous_outputs[9]");
}

#[test]
fn errors_name_the_variable_and_the_line() {
    let error = render("a\n{% if missing == 1 %}{% endif %}", &vars()).unwrap_err();
    assert_eq!(error.line, Some(2));
    assert!(error.message.contains("`missing` is undefined"), "{error}");
    check_error("{{ d.nope }}", "`d.nope` is undefined");
    check_error("a\n\n{{ 'x'|nope }}", "(template line 3)");
    check_error("{{ 'x'|nope }}", "nope");
    check_error("{% if %}", "template syntax error");
    for loading in
        ["{% include 'a' %}", "{% extends 'a' %}", "{% import 'a' as b %}", "{% from 'a' import b %}"]
    {
        check_error(loading, "template loading is not available in scores");
    }
}

#[test]
fn the_lenient_form_leaves_unknown_names_empty() {
    assert_eq!(render_lenient("{{ nope }}/{{ nope.x }}/{{ l[0] }}", &vars()).unwrap(), "//1");
}

#[test]
fn line_ends_are_normalised_and_the_last_one_is_kept() {
    check("a\r\nb\rc\n", "a\nb\nc\n");
}

#[test]
fn work_and_output_are_limited() {
    check_error("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "steps");
    check_error(
        "{% set big = 'x' * 1000000 %}{% for a in range(99) %}{{ big }}{% endfor %}",
        "larger than 16 MiB",
    );
    check_error("{% set big = 'x' * 1000000 %}{{ (range(99)|list)|join(big) }}", "too large");
}

/// Each of these ran out of memory or of the stack, took minutes, or panicked in the engine.
#[test]
fn values_are_bounded_wherever_they_grow() {
    let looped = |start: &str, step: &str| {
        format!(
            "{{% set ns = namespace(x={start}) %}}{{% for i in range(9999) %}}{{% set ns.x = {step} %}}{{% endfor %}}"
        )
    };
    for (start, step, told) in [
        ("[]", "[ns.x]", "levels deep"),
        ("[]", "{'k': ns.x}", "levels deep"),
        ("[1]", "ns.x|batch(1)|list", "levels deep"),
        ("[]", "cycler(ns.x)", "levels deep"),
        ("[]", "[ns.x, ns.x]", "a value is larger than"),
        ("'ab'", "ns.x ~ ns.x", "`~`: the result is too large"),
        ("'ab'", "ns.x + ns.x", "`+`: the result is too large"),
        ("'ab'", "ns.x * 2", "`*`: the result is too large"),
        ("'ab'", "ns.x.replace('a', 'aa')", "replace: the result is too large"),
        ("'ab'", "ns.x.join(ns.x)", "join: the result is too large"),
        ("range(9999)|list", "ns.x|list", "handles more than"),
        ("range(9999)|list", "ns.x|sort", "handles more than"),
        ("range(9999)|list", "ns.x|unique|list", "handles more than"),
        ("'x' * 1000000", "ns.x[::-1]", "handles more than"),
        (
            "dict(range(999)|map('string')|batch(2)|map('list')|batch(1)|map('first'))",
            "ns.x.copy()",
            "handles more than",
        ),
    ] {
        check_error(&looped(start, step), told);
    }
    let inside = "{% set x = [] %}{% set ns = namespace(last=x) %}{% for i in range(9999) %}{% set n = [] %}\
        {% set _ = ns.last.append(n) %}{% set ns.last = n %}{% endfor %}";
    check_error(inside, "levels deep");
    check_error("{% set x = [] %}{% set _ = x.append([x]) %}", "into itself");
    for template in
        ["{{ '%1000000000d' % 5 }}", "{{ '%.1000000000f' % 5 }}", "{{ '{:1000000000}'.format(5) }}"]
    {
        check_error(template, "the width");
    }
    for template in ["{{ [1]|batch(1000000000, 0)|list }}", "{{ [1]|slice(1000000000)|list }}"] {
        check_error(template, "too many");
    }
    for template in
        ["{{ ('a' * 100000)|wordwrap(1, wrapstring='x' * 1000) }}", "{{ ('\\t' * 100000).expandtabs(1000) }}"]
    {
        check_error(template, ": the result is too large");
    }
    check_error("{{ 'x' * 10 ** 9 }}", "too large");
    check_error("{{ [1] * 10 ** 9 }}", "too large");
    check_error("{{ 9 ** 9 ** 9 }}", "whole numbers reach to");
    // Quadratic before.
    check("{{ ('<a>' * 200000)|striptags|length }}{{ ('a' * 100000)|wordwrap(1)|length }}", "0199999");
}

/// Sheet workers have small stacks.
#[test]
fn no_template_overflows_a_small_stack() {
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    let run = thread.spawn(|| {
        let nested = |open: &str, middle: &str, close: &str, n: usize| {
            format!("{}{middle}{}", open.repeat(n), close.repeat(n))
        };
        for n in [20, 29, 31, 200, 5000] {
            for template in [
                format!("{{{{ {} }}}}", nested("(", "1", ")", n)),
                format!("{{{{ {} }}}}", nested("[", "1", "]", n)),
                format!("{{{{ {} }}}}", nested("not ", "1", "", n)),
                format!("{{{{ {} }}}}", nested("-", "1", "", n)),
                format!("{{{{ 1{} }}}}", "+1".repeat(n * 4)),
                format!("{{{{ 'a'{} }}}}", "|upper".repeat(n * 4)),
                format!("{{{{ d{} }}}}", ".a".repeat(n * 4)),
                format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(n)),
                format!("{{{{ 1{} }}}}", " ** 1".repeat(n)),
                nested("{% if 1 %}", "x", "{% endif %}", n),
                nested("{% for a in [1] %}", "x", "{% endfor %}", n),
                format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}x".repeat(n)),
                "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(1) }}".to_owned(),
                "{% for a in [[[[1]]]] recursive %}{{ loop([a]) }}{% endfor %}".to_owned(),
            ] {
                _ = render(&template, &vars());
            }
        }
    });
    run.unwrap().join().unwrap();
}

proptest::proptest! {
    #[test]
    fn rendering_is_total(template in r"(\{\{|\}\}|\{%|%\}| if | endif | for x in | d | 'a' |\|upper|\(|\)|\[|-|\n){0,25}") {
        _ = render(&template, &vars());
    }
}
