//! `docs/openapi.yaml` and the code, held to each other: the same paths and methods, and no reference into the void.

use std::collections::{BTreeMap, BTreeSet};

use captionwire::format::Format;
use captionwire::server::{ProblemCode, RouteInfo, route_list};
use serde_json::Value;

fn read(name: &str) -> Value {
    let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("a document");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("docs/{name}: {error}"))
}

/// The operations of the document, with who may use them.
fn documented(document: &Value) -> BTreeSet<(String, String, Option<String>, bool)> {
    const METHODS: [&str; 5] = ["get", "put", "patch", "post", "delete"];
    let mut found = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let operations = operations.as_object().expect("operations");
        for (method, operation) in operations.iter().filter(|(method, _)| METHODS.contains(&method.as_str())) {
            let role = operation["x-role"].as_str().map(str::to_owned);
            let is_public = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(is_public, role.is_none(), "{method} {path}: x-role or an empty security");
            // As a scheme of its own, or as a parameter where captioning software is told each of them.
            let takes_url_token = operation["security"].to_string().contains("tokenInUrl")
                || operation["parameters"].to_string().contains("#/components/parameters/token\"");
            found.insert((method.to_uppercase(), path.clone(), role, takes_url_token));
        }
    }
    found
}

#[test]
fn the_routes_are_the_documents_paths_with_their_roles() {
    let told = documented(&read("openapi.yaml"));
    let known: BTreeSet<_> = route_list()
        .into_iter()
        .map(|RouteInfo { method, path, role, takes_url_token }| {
            (method, path.to_owned(), role.map(str::to_owned), takes_url_token)
        })
        .collect();
    let missing: Vec<_> = known.difference(&told).collect();
    let invented: Vec<_> = told.difference(&known).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "not in the document: {missing:?}\nnot in the code: {invented:?}"
    );
}

#[test]
fn the_codes_of_problems_are_the_documents() {
    let document = read("openapi.yaml");
    let told = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    assert_eq!(*told, serde_json::to_value(ProblemCode::ALL).expect("names"));
}

/// Media types of the formats of transcripts, without parameters.
fn media_types() -> BTreeSet<&'static str> {
    Format::ALL.into_iter().filter_map(|format| format.content_type().split(';').next()).collect()
}

/// Writes the endings of the formats of transcripts into the document, and the media types that it lacks.
fn write_formats(extensions: &[&str]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.yaml");
    let text = std::fs::read_to_string(path).expect("docs/openapi.yaml");
    let (before, transcript) = text.split_once("  /v1/feeds/{feed}/transcript.{format}:\n").expect("the path");
    let (head, rest) = transcript.split_once("enum: [").expect("the list");
    let (_, rest) = rest.split_once(']').expect("its end");
    let (middle, content) = rest.split_once("          content:\n").expect("the answer");
    let answer = content.split("\n        '304'").next().expect("a part");
    let missing = media_types().into_iter().filter(|media| !answer.contains(&format!("            {media}:\n")));
    let missing: String =
        missing.map(|media| format!("            {media}:\n              schema: {{type: string}}\n")).collect();
    let written = format!(
        "{before}  /v1/feeds/{{feed}}/transcript.{{format}}:\n{head}enum: [{}]{middle}          content:\n{missing}{content}",
        extensions.join(", ")
    );
    std::fs::write(path, written).expect("written");
}

#[test]
fn the_formats_of_transcripts_are_the_documents() {
    let extensions = Format::ALL.map(Format::extension);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        write_formats(&extensions);
    }
    let document = read("openapi.yaml");
    let path = &document["paths"]["/v1/feeds/{feed}/transcript.{format}"];
    let parameters = path["parameters"].as_array().expect("parameters");
    let format = parameters.iter().find(|parameter| parameter["name"] == "format").expect("the format");
    assert_eq!(format["schema"]["enum"], Value::from(extensions.to_vec()), "UPDATE_GOLDEN=1 writes them");
    let content = path["get"]["responses"]["200"]["content"].as_object().expect("media types");
    let told: BTreeSet<&str> = content.keys().map(String::as_str).collect();
    assert_eq!(told, media_types(), "UPDATE_GOLDEN=1 writes those that are missing");
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let documents: BTreeMap<&str, Value> = ["openapi.yaml", "asyncapi.yaml"].map(|name| (name, read(name))).into();
    for (name, document) in &documents {
        let mut found = BTreeSet::new();
        references(document, &mut found);
        for reference in found {
            let (file, pointer) = reference.split_once('#').expect("a reference to a place");
            let file = if file.is_empty() { *name } else { file.trim_start_matches("./") };
            assert!(documents[file].pointer(pointer).is_some(), "docs/{name}: nothing is at {reference}");
        }
    }
}

#[test]
fn every_operation_has_an_id_of_its_own() {
    let document = read("openapi.yaml");
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if method != "parameters" {
                let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id"));
                assert!(ids.insert(id.to_owned()), "{id} is there twice");
            }
        }
    }
}
