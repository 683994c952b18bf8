//! The configuration that `isthmus dev` writes on its first start.

const TEMPLATE: &str = include_str!("isthmus.toml");

/// The commented defaults, for a hub of these names.
pub(crate) fn render(host_names: &[String]) -> String {
    let names: Vec<toml::Value> = host_names.iter().cloned().map(toml::Value::String).collect();
    TEMPLATE.replace("{host_names}", &toml::Value::Array(names).to_string())
}
