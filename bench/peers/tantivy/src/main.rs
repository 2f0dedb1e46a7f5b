//! Measures tantivy as bench/engines.ts asks: ENTRIES COUNT QUESTIONS COLUMNS LIMIT ROUNDS HITS
//! (columns: comma-separated UNIT:BOOST, in the order of the entries file's columns).
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::time::Instant;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions, FAST};
use tantivy::tokenizer::{TextAnalyzer, WhitespaceTokenizer};
use tantivy::{Index, TantivyDocument, Term};

fn lines(path: &str) -> impl Iterator<Item = String> {
    BufReader::new(File::open(path).unwrap()).lines().map(|line| line.unwrap())
}

fn main() -> tantivy::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let count: usize = args[2].parse().unwrap();
    let limit: usize = args[5].parse().unwrap();
    let rounds: usize = args[6].parse().unwrap();
    let columns: Vec<(usize, f32)> = args[4]
        .split(',')
        .map(|column| column.split_once(':').unwrap())
        .map(|(unit, boost)| (unit.parse().unwrap(), boost.parse().unwrap()))
        .collect();

    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default().set_tokenizer("blank").set_index_option(IndexRecordOption::WithFreqs);
    let options = TextOptions::default().set_indexing_options(indexing);
    let fields: Vec<Field> =
        (0..columns.len()).map(|at| schema.add_text_field(&format!("f{at}"), options.clone())).collect();
    let number = schema.add_u64_field("number", FAST);
    let index = Index::create_from_tempdir(schema.build())?;
    index.tokenizers().register("blank", TextAnalyzer::from(WhitespaceTokenizer::default()));
    let mut writer = index.writer_with_num_threads(1, 1_500_000_000)?;
    let started = Instant::now();
    for (at, line) in lines(&args[1]).take(count).enumerate() {
        let mut document = TantivyDocument::default();
        document.add_u64(number, at as u64);
        for (field, text) in fields.iter().zip(line.split('\t')) {
            if !text.is_empty() {
                document.add_text(*field, text);
            }
        }
        writer.add_document(document)?;
    }
    writer.commit()?;
    let segments = index.searchable_segment_ids()?;
    if segments.len() > 1 {
        writer.merge(&segments).wait()?;
    }
    writer.wait_merging_threads()?;
    let build_ms = started.elapsed().as_millis();

    let searcher = index.reader()?.searcher();
    let numbers: Vec<_> = searcher
        .segment_readers()
        .iter()
        .map(|segment| segment.fast_fields().u64("number").unwrap().first_or_default_col(0))
        .collect();
    let questions: Vec<Vec<BTreeMap<String, f32>>> = lines(&args[3])
        .map(|line| {
            line.split('\t')
                .map(|tokens| {
                    let mut times = BTreeMap::new();
                    for token in tokens.split_whitespace() {
                        *times.entry(token.to_string()).or_insert(0f32) += 1f32;
                    }
                    times
                })
                .collect()
        })
        .collect();
    let ask = |question: &Vec<BTreeMap<String, f32>>| {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for (field, (unit, boost)) in fields.iter().zip(&columns) {
            for (token, times) in &question[*unit] {
                let term = TermQuery::new(Term::from_field_text(*field, token), IndexRecordOption::WithFreqs);
                clauses.push((Occur::Should, Box::new(BoostQuery::new(Box::new(term), boost * times))));
            }
        }
        searcher.search(&BooleanQuery::new(clauses), &TopDocs::with_limit(limit).order_by_score()).unwrap()
    };

    let mut hits = BufWriter::new(File::create(&args[7])?);
    for question in &questions {
        let found: Vec<String> = ask(question)
            .iter()
            .map(|(score, at)| format!("{}:{score}", numbers[at.segment_ord as usize].get_val(at.doc_id)))
            .collect();
        writeln!(hits, "{}", found.join(" "))?;
    }
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..rounds {
        for question in &questions {
            let started = Instant::now();
            let found = ask(question);
            times.push(started.elapsed().as_secs_f64() * 1e3);
            std::hint::black_box(found);
        }
    }
    let texts: Vec<String> = times.iter().map(|ms| format!("{ms:.4}")).collect();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).and_then(|line| line.split_whitespace().nth(1));
    println!(
        "{{\"buildMs\":{build_ms},\"peakMb\":{},\"segments\":{},\"times\":[{}]}}",
        peak.map_or(0, |kb| kb.parse::<u64>().unwrap() / 1024),
        searcher.segment_readers().len(),
        texts.join(",")
    );
    Ok(())
}
