//! `docs/openapi.yaml` and the code, held to each other: the same paths and methods, and no reference into the void.

use std::collections::{BTreeMap, BTreeSet};

use captionwire::server::{ProblemCode, ROUTES};
use serde_json::Value;

fn read(name: &str) -> Value {
    let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("a document");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("docs/{name}: {error}"))
}

#[test]
fn the_routes_are_the_documents_paths() {
    const METHODS: [&str; 5] = ["get", "put", "patch", "post", "delete"];
    let document = read("openapi.yaml");
    let told: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods").keys().filter(|key| METHODS.contains(&key.as_str()));
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let known: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(method, path)| (method.to_uppercase(), (*path).to_owned())).collect();
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
