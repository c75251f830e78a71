//! Findings for people, for programs, and for what shows test results.

use core::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::finding::{Finding, Kind};
use super::sentence::count;

/// In which form findings are reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub(in crate::cli) enum Form {
    /// A sentence a line.
    #[default]
    Text,
    /// An array of objects.
    Json,
    /// A test suite.
    Junit,
    /// Workflow commands that annotate the source.
    Github,
}

/// The report on `findings` among so many sockets.
pub(in crate::cli) fn report(form: Form, findings: &[Finding], looked_at: usize) -> String {
    match form {
        Form::Text => text(findings, looked_at),
        Form::Json => json(findings),
        Form::Junit => junit(findings),
        Form::Github => github(findings, std::env::current_dir().ok().as_deref()),
    }
}

fn text(findings: &[Finding], looked_at: usize) -> String {
    if findings.is_empty() {
        return format!("no leaks in {}\n", count(looked_at as u64, "socket"));
    }
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

fn json(findings: &[Finding]) -> String {
    #[derive(Serialize)]
    struct WithSentence<'a> {
        sentence: String,
        #[serde(flatten)]
        finding: &'a Finding,
    }
    let told = |finding| WithSentence { sentence: format!("{finding}"), finding };
    let findings: Vec<_> = findings.iter().map(told).collect();
    let text = serde_json::to_string_pretty(&findings).unwrap_or_default();
    text + "\n"
}

impl Kind {
    /// The name that the JSON form has, too.
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Kind::CloseWait { .. } => "close-wait",
            Kind::FinWait2 { .. } => "fin-wait2",
            Kind::Unaccepted { .. } => "unaccepted",
            Kind::Inherited => "inherited",
        }
    }
}

/// The form that Jenkins, GitLab and others read: one failed case a finding; without any, one
/// case that has passed.
fn junit(findings: &[Finding]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (tests, failures) = (findings.len().max(1), findings.len());
    let _ = writeln!(
        text,
        "<testsuite name=\"tcplab leaks\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">"
    );
    for finding in findings {
        let name = xml(&format!("{} {}", finding.kind.name(), finding.tuple()));
        let sentence = xml(&finding.to_string());
        let _ = writeln!(
            text,
            "  <testcase classname=\"tcplab.leaks\" name=\"{name}\">\n    \
             <failure type=\"{}\" message=\"{sentence}\"/>\n  </testcase>",
            finding.kind.name()
        );
    }
    if findings.is_empty() {
        text += "  <testcase classname=\"tcplab.leaks\" name=\"no leaks\"/>\n";
    }
    text + "</testsuite>\n"
}

fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            // XML has no form for these.
            c if c < ' ' => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

/// `::error file=F,line=L,title=T::SENTENCE`; files as the repository has them, as far as they lie
/// below the directory where the command runs.
fn github(findings: &[Finding], here: Option<&Path>) -> String {
    let mut text = String::new();
    for finding in findings {
        let mut properties = Vec::new();
        let site = finding.site.as_ref();
        if let Some(file) = site.and_then(|site| site.file.as_deref()) {
            let below = here.and_then(|here| Path::new(file).strip_prefix(here).ok());
            let file = below.map_or(file.to_owned(), |below| below.display().to_string());
            properties.push(format!("file={}", property(&file)));
            properties.extend(site.and_then(|site| site.line).map(|line| format!("line={line}")));
        }
        properties
            .push(format!("title={}", property(&format!("TCP leak: {}", finding.kind.name()))));
        let sentence = escape(&finding.to_string());
        let _ = writeln!(text, "::error {}::{sentence}", properties.join(","));
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::finding::tests::{close_wait, with_site};
    use super::*;

    #[test]
    fn text_says_how_much_was_looked_at_where_nothing_is_found() {
        assert_eq!(text(&[], 3), "no leaks in 3 sockets\n");
        assert_eq!(text(&[], 1), "no leaks in 1 socket\n");
    }

    #[test]
    fn json_has_the_sentence_and_what_it_is_made_of() {
        let value: serde_json::Value = serde_json::from_str(&json(&[close_wait()])).unwrap();
        let first = &value[0];
        assert_eq!(first["leak"], "close-wait");
        assert_eq!(first["bug"], "ignores-end");
        assert_eq!(first["times"], 12);
        assert_eq!(first["holders"][0]["pid"], 7);
        assert_eq!(first["sentence"], close_wait().to_string());
        assert_eq!(json(&[]), "[]\n");
    }

    #[test]
    fn junit_has_a_failed_case_a_finding_and_a_passed_one_without() {
        let failed = junit(&[close_wait()]);
        assert!(failed.contains("tests=\"1\" failures=\"1\""), "{failed}");
        assert!(
            failed.contains("<failure type=\"close-wait\" message=\"server (pid 7)"),
            "{failed}"
        );
        let passed = junit(&[]);
        assert!(passed.contains("tests=\"1\" failures=\"0\""), "{passed}");
        assert_eq!(xml("<a&\"b\">\n"), "&lt;a&amp;&quot;b&quot;&gt;?");
    }

    #[test]
    fn github_annotates_the_line_where_the_connection_was_accepted() {
        let annotation = github(&[with_site()], Some(Path::new("/home/ci/repo")));
        assert!(
            annotation.starts_with(
                "::error file=src/server.c,line=41,title=TCP leak%3A close-wait::server (pid 7)"
            ),
            "{annotation}"
        );
        assert!(!github(&[close_wait()], None).contains("file="));
    }
}
