//! DIR/ports.json: where every listener is really bound.
