//! The OpenAPI document, made from the types and routes, and a page to read it on that needs nothing from outside.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, html};
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi};

use crate::serve::routes::Document;

/// The answers that routes have in common: status, and what it means.
const REFUSALS: [(&str, &str); 13] = [
    ("400", "The body, or the path, cannot be read as what it is said to be"),
    ("401", "A key is needed"),
    ("403", "The key does not allow this, or a page of another origin sent it"),
    ("404", "There is no such route or model"),
    ("405", "The route does not know the method"),
    ("408", "The body did not arrive in time"),
    ("409", "The bundle could not be changed; the one in use stays"),
    ("413", "More than a limit allows"),
    ("415", "Another media type or content encoding is expected"),
    ("422", "The body asks for something that cannot be done"),
    ("429", "The queue is full, or there is no room for the body; Retry-After says when to try again"),
    ("500", "The server broke on the request"),
    ("503", "Not ready in time, or the server is stopping; Retry-After says when to try again"),
];

/// Stands in the description of a route for the refusals that all have.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let refusal = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Refusal"))).build();
        let response = |(status, meaning): (&str, &str)| {
            let response = ResponseBuilder::new().description(meaning).content("application/json", refusal()).build();
            (status.to_owned(), RefOr::T(response))
        };
        REFUSALS.into_iter().map(response).collect()
    }
}

/// The document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A key of the server")).build();
    document.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(key));
    document
}

/// The document as a page: routes first, then the types that they refer to.
pub(crate) fn page(document: &Value) -> String {
    let routes = document["paths"].as_object().into_iter().flatten();
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "detente: the interface" }
                link rel="stylesheet" href="/page.css";
            }
            body .docs {
                header {
                    h1 { "detente: the interface" }
                    p { "Version " (text(&document["info"]["version"])) ". For programs: " a href="/openapi.json" { "openapi.json" } ". To try it: " a href="/" { "the page" } "." }
                }
                main {
                    h2 #routes { "Routes" }
                    @for (path, methods) in routes {
                        @for (method, operation) in methods.as_object().into_iter().flatten() {
                            (route(path, method, operation))
                        }
                    }
                    h2 #types { "Types" }
                    @for (name, schema) in schemas {
                        section #{ "type-" (name) } .operation {
                            h3 { code { (name) } }
                            @if let Some(words) = schema["description"].as_str() { p { (words) } }
                            (fields(schema))
                        }
                    }
                }
            }
        }
    }
    .into_string()
}

fn route(path: &str, method: &str, operation: &Value) -> Markup {
    let body = operation["requestBody"]["content"].as_object().into_iter().flatten().next();
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let answers = operation["responses"].as_object().into_iter().flatten();
    html! {
        section .operation {
            h3 { code { (method.to_uppercase()) " " (path) } }
            @if let Some(words) = operation["summary"].as_str() { p { (words) } }
            @if let Some(words) = operation["description"].as_str() { p { (words) } }
            @for parameter in parameters {
                p { "Parameter " code { (text(&parameter["name"])) } ": " (text(&parameter["description"])) }
            }
            @if let Some((media, content)) = body {
                p { "Body: " code { (media) } ", " (kind(&content["schema"])) }
            }
            ul {
                @for (status, answer) in answers {
                    li {
                        code { (status) } " " (text(&answer["description"]))
                        @for (media, content) in answer["content"].as_object().into_iter().flatten() {
                            @if status.starts_with('2') { ": " code { (media) } ", " (kind(&content["schema"])) }
                        }
                    }
                }
            }
        }
    }
}

fn fields(schema: &Value) -> Markup {
    let properties = schema["properties"].as_object();
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    html! {
        @match properties {
            Some(properties) => {
                dl {
                    @for (name, property) in properties {
                        dt { code { (name) } " " (kind(property)) @if !required.contains(&name.as_str()) { " (may be absent)" } }
                        dd { (text(&property["description"])) }
                    }
                }
            }
            None => p { (kind(schema)) }
        }
    }
}

/// A type in words, with a link where it has a name.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return html! { a href={ "#type-" (name) } { (name) } };
    }
    let choices = schema["oneOf"].as_array().or_else(|| schema["allOf"].as_array());
    if let Some(choices) = choices {
        return html! { @for (index, one) in choices.iter().enumerate() { @if index > 0 { " or " } (kind(one)) } };
    }
    if let Some(names) = schema["enum"].as_array() {
        return html! { "one of " @for name in names { code { (text(name)) } " " } };
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().map(text).collect::<Vec<_>>().join(" or "),
        Value::String(one) => one.clone(),
        _ => "any value".to_owned(),
    };
    html! { (types) @if !schema["items"].is_null() { " of " (kind(&schema["items"])) } }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_referred_to_is_there_and_on_the_page() {
        let value = serde_json::to_value(document()).unwrap();
        let json = value.to_string();
        let mut found = 0;
        for part in json.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(!value["components"]["schemas"][name].is_null(), "{name} is not described");
            found += 1;
        }
        assert!(found > 20, "only {found} references");
        let page = page(&value);
        for part in page.split("href=\"#").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(page.contains(&format!("id=\"{name}\"")), "{name} is linked and not there");
        }
        for path in ["/v1/classify", "/v1/classify/stream", "/predict", "/v2/models/{name}/infer", "/admin/reload"] {
            assert!(page.contains(path), "{path}");
        }
        assert!(!page.contains("http://") && !page.contains("https://"), "the page refers to something outside");
    }
}
