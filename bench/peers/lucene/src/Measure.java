import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.lucene.analysis.core.WhitespaceAnalyzer;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.FieldType;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexOptions;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.store.MMapDirectory;

/**
 * Measures Lucene as bench/engines.ts asks: ENTRIES COUNT QUESTIONS COLUMNS LIMIT ROUNDS HITS (columns: comma-separated
 * UNIT:BOOST, in the order of the entries file's columns).
 */
public class Measure {
  record Column(int unit, float boost) {}

  public static void main(String[] args) throws IOException {
    int count = Integer.parseInt(args[1]);
    int limit = Integer.parseInt(args[4]);
    int rounds = Integer.parseInt(args[5]);
    List<Column> columns = new ArrayList<>();
    for (String column : args[3].split(",")) {
      String[] parts = column.split(":");
      columns.add(new Column(Integer.parseInt(parts[0]), Float.parseFloat(parts[1])));
    }
    IndexSearcher.setMaxClauseCount(1 << 20);
    FieldType type = new FieldType();
    type.setTokenized(true);
    type.setIndexOptions(IndexOptions.DOCS_AND_FREQS);
    type.freeze();

    Path path = Files.createTempDirectory("lucene");
    long started = System.nanoTime();
    try (MMapDirectory directory = new MMapDirectory(path);
        IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig(new WhitespaceAnalyzer()).setRAMBufferSizeMB(512))) {
      try (BufferedReader entries = Files.newBufferedReader(Path.of(args[0]), StandardCharsets.UTF_8)) {
        for (int at = 0; at < count; at++) {
          String[] texts = entries.readLine().split("\t", -1);
          Document document = new Document();
          for (int i = 0; i < columns.size(); i++) {
            if (!texts[i].isEmpty()) document.add(new Field("f" + i, texts[i], type));
          }
          writer.addDocument(document);
        }
      }
      writer.forceMerge(1);
      writer.commit();
      long buildMs = (System.nanoTime() - started) / 1_000_000;

      List<List<Map<String, Integer>>> questions = new ArrayList<>();
      for (String line : Files.readAllLines(Path.of(args[2]), StandardCharsets.UTF_8)) {
        List<Map<String, Integer>> units = new ArrayList<>();
        for (String tokens : line.split("\t", -1)) {
          Map<String, Integer> times = new LinkedHashMap<>();
          for (String token : tokens.split(" ")) if (!token.isEmpty()) times.merge(token, 1, Integer::sum);
          units.add(times);
        }
        questions.add(units);
      }
      try (DirectoryReader reader = DirectoryReader.open(directory)) {
        IndexSearcher searcher = new IndexSearcher(reader);
        searcher.setQueryCache(null);
        try (PrintWriter hits = new PrintWriter(args[6], StandardCharsets.UTF_8)) {
          for (List<Map<String, Integer>> question : questions) {
            List<String> found = new ArrayList<>();
            for (ScoreDoc hit : ask(searcher, columns, question, limit).scoreDocs) found.add(hit.doc + ":" + hit.score);
            hits.println(String.join(" ", found));
          }
        }
        // The compiler of the JVM wants more rounds before it is warm.
        StringBuilder times = new StringBuilder();
        int warm = Math.max(3, rounds);
        for (int round = -warm; round < rounds; round++) {
          for (List<Map<String, Integer>> question : questions) {
            long before = System.nanoTime();
            ask(searcher, columns, question, limit);
            double ms = (System.nanoTime() - before) / 1e6;
            if (round >= 0) times.append(times.isEmpty() ? "" : ",").append(String.format(Locale.ROOT, "%.4f", ms));
          }
        }
        long peak = 0;
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
          if (line.startsWith("VmHWM")) peak = Long.parseLong(line.replaceAll("\\D", "")) / 1024;
        }
        System.out.printf("{\"buildMs\":%d,\"peakMb\":%d,\"segments\":%d,\"times\":[%s]}%n", buildMs, peak, reader.leaves().size(), times);
      }
    }
  }

  static TopDocs ask(IndexSearcher searcher, List<Column> columns, List<Map<String, Integer>> question, int limit)
      throws IOException {
    BooleanQuery.Builder query = new BooleanQuery.Builder();
    for (int i = 0; i < columns.size(); i++) {
      Column column = columns.get(i);
      for (Map.Entry<String, Integer> token : question.get(column.unit()).entrySet()) {
        TermQuery term = new TermQuery(new Term("f" + i, token.getKey()));
        query.add(new BoostQuery(term, column.boost() * token.getValue()), BooleanClause.Occur.SHOULD);
      }
    }
    return searcher.search(query.build(), limit);
  }
}
