//! Compiles what a client may do.

use std::rc::Rc;

use super::compiler::Compiler;
use crate::routes::address_range::AddressRange;
use crate::routes::at::At;
use crate::routes::client_guard::{ClientGuard, Parameters, RequestSize, Statements};
use crate::routes::glob::Glob;
use crate::routes::raw::{RawClient, RawObjects, RawStatements};
use crate::vocabulary::operation::Operation;
use crate::vocabulary::sorted;

impl Compiler<'_> {
    pub(super) fn guard(&mut self, client: &RawClient, at: At<'_>) -> ClientGuard {
        let parameters = client.parameters.as_ref();
        let size = client.request.as_ref();
        ClientGuard {
            operations: client
                .operations
                .as_deref()
                .map(|names| self.operations(names, at.key("operations"))),
            labels: Rc::new(client.labels.clone()),
            metadata: statements(client.metadata.as_ref(), str::to_owned),
            headers: statements(client.headers.as_ref(), str::to_ascii_lowercase),
            request: size.map_or_else(RequestSize::default, |size| RequestSize {
                max_bytes: size.max_bytes,
                max_input_tokens: size.max_input_tokens,
                max_output_tokens: size.max_output_tokens,
                max_images: size.max_images,
            }),
            parameters: Parameters {
                allow: parameters.and_then(|parameters| parameters.allow.as_deref()).map(globs),
                deny: parameters
                    .and_then(|parameters| parameters.deny.as_deref())
                    .map(globs)
                    .unwrap_or_default(),
            },
            sees_own_only: client.objects == Some(RawObjects::Own),
            countries: client.countries.as_deref().map(|codes| self.countries(codes, at.key("countries"))),
            addresses: client.addresses.as_deref().map(|texts| self.addresses(texts, at.key("addresses"))),
        }
    }

    fn operations(&mut self, names: &[String], at: At<'_>) -> Vec<Glob> {
        let known = Operation::ALL.map(Operation::path);
        for (index, name) in names.iter().enumerate() {
            let is_known = known.iter().any(|path| Glob::new(name.as_str()).matches(path));
            if !is_known {
                let expected = "the path of an operation, or a pattern with * that matches one";
                self.report.refuse_name(at.index(index), name, expected, known);
            }
        }
        globs(names)
    }

    fn countries(&mut self, codes: &[String], at: At<'_>) -> Vec<String> {
        for (index, code) in codes.iter().enumerate() {
            if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                self.report.refuse(at.index(index), "the code of a country in ISO 3166-1, such as DE");
            }
        }
        codes.iter().map(|code| code.to_ascii_uppercase()).collect()
    }

    fn addresses(&mut self, texts: &[String], at: At<'_>) -> Vec<AddressRange> {
        let mut ranges = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let range = AddressRange::parse(text);
            if range.is_none() {
                self.report.refuse(
                    at.index(index),
                    "an IP address, or a range such as 203.0.113.0/24 or 2001:db8::/32",
                );
            }
            ranges.extend(range);
        }
        ranges
    }
}

fn globs(patterns: &[String]) -> Vec<Glob> {
    patterns.iter().map(Glob::new).collect()
}

/// `named`: the name as it is compared.
fn statements(raw: Option<&RawStatements>, named: fn(&str) -> String) -> Statements {
    let pin = raw.iter().flat_map(|raw| &raw.pin).map(|(name, value)| (named(name), value.clone()));
    let refuse = raw.iter().flat_map(|raw| &raw.refuse).map(|name| Glob::new(named(name)));
    Statements { pin: sorted::map(pin), refuse: refuse.collect() }
}
