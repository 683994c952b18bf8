use std::path::Path;

#[test]
fn every_document_of_the_corpus_keeps_the_promises() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files: Vec<_> = std::fs::read_dir(corpus).expect("a corpus").collect::<Result<_, _>>().expect("readable");
    assert!(files.len() >= 16, "the corpus is there");
    for file in files {
        twins::exercise_document(&std::fs::read(file.path()).expect("readable"));
    }
}
