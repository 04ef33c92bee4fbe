package dev.podidentity.agent;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The results of {@link SdkMatrix}, and their tables in Markdown. Any thread may add results. */
final class SdkReport {

    private static final String NOT_RUN = "not run";

    private final Map<Workload, String> notRun = new EnumMap<>(Workload.class);
    private final List<Attempt> attempts = new ArrayList<>();
    private final List<Quote> quotes = new ArrayList<>();
    private final Map<Workload, Wire> wires = new EnumMap<>(Workload.class);

    /**
     * One run of a case.
     *
     * @param succeeded how many of the SDK calls succeeded; {@code of} is their total
     * @param millis the duration; of several calls, that of the longest
     * @param upstream the number of calls to EKS Auth
     * @param requests the number of requests to the agent; -1 if they are not counted
     * @param problem why a call failed; empty if none failed
     */
    record Attempt(
            Workload workload, SdkCase which, int succeeded, int of, long millis, int upstream, int requests, String problem) {}

    /** What a user reads, and after how long. */
    record Quote(Workload workload, SdkTrouble trouble, long millis, String text) {}

    /** What an SDK sends, and how it reacts to a server that misbehaves. */
    record Wire(String request, String connection, String silent, String unavailable, String retryAfter, String refused) {}

    /** Records that an SDK was not run; keeps the first line of the reason, without paths of this machine. */
    synchronized void notRun(Workload workload, String why) {
        String reason = why.lines().findFirst().orElse("");
        notRun.put(workload, reason.replace("Assumption failed: ", "").replaceAll(" \\(in directory \"[^\"]*\"\\)", ""));
    }

    synchronized void add(Attempt attempt) {
        attempts.add(attempt);
    }

    synchronized void add(Quote quote) {
        quotes.add(quote);
    }

    synchronized void add(Workload workload, Wire wire) {
        wires.put(workload, wire);
    }

    /** Returns one line per attempt. */
    synchronized String csv() {
        return attempts.stream()
                .map(attempt -> String.join(",",
                        attempt.workload.title(), attempt.which.name(),
                        String.valueOf(attempt.succeeded), String.valueOf(attempt.of), String.valueOf(attempt.millis),
                        String.valueOf(attempt.upstream), String.valueOf(attempt.requests),
                        '"' + attempt.problem.replace("\"", "\"\"") + '"'))
                .collect(Collectors.joining("\n", "sdk,case,succeeded,of,millis,upstream_calls,requests,problem\n", "\n"));
    }

    /** Returns the versions, or why an SDK was not run. */
    synchronized String versions() {
        return Stream.of(Workload.values())
                .map(workload -> "- " + workload.title() + ' ' + workload.version()
                        + (notRun.containsKey(workload) ? ": " + NOT_RUN + " (" + notRun.get(workload) + ")" : ""))
                .collect(Collectors.joining("\n", "", "\n"));
    }

    /**
     * Returns a table of cases (rows) and SDKs (columns). A cell has the number of successful calls and the median duration.
     */
    synchronized String matrix() {
        List<String> titles = Stream.of(Workload.values()).map(Workload::title).toList();
        StringBuilder table = new StringBuilder();
        row(table, Stream.concat(
                Stream.concat(Stream.of("case"), titles.stream()), Stream.of("all", "calls to EKS Auth")));
        row(table, Stream.concat(Stream.of("---"), Stream.generate(() -> "---:").limit(titles.size() + 2)));
        for (SdkCase which : SdkCase.values()) {
            List<Attempt> ofCase = attempts(attempt -> attempt.which == which);
            if (!ofCase.isEmpty()) {
                Stream<String> cells = Stream.of(Workload.values()).map(workload -> cell(which, workload));
                row(table, Stream.concat(Stream.concat(Stream.of(which.title()), cells), Stream.of(sum(ofCase), upstream(ofCase))));
            }
        }
        return table.toString();
    }

    private String cell(SdkCase which, Workload workload) {
        List<Attempt> ofCell = attempts(attempt -> attempt.which == which && attempt.workload == workload);
        return ofCell.isEmpty() ? NOT_RUN : sum(ofCell) + ", " + time(median(ofCell));
    }

    private List<Attempt> attempts(Predicate<Attempt> wanted) {
        return attempts.stream().filter(wanted).toList();
    }

    private static long median(List<Attempt> attempts) {
        return attempts.stream().map(Attempt::millis).sorted().toList().get(attempts.size() / 2);
    }

    private static String sum(List<Attempt> attempts) {
        return attempts.stream().mapToInt(Attempt::succeeded).sum() + "/" + attempts.stream().mapToInt(Attempt::of).sum();
    }

    private static String upstream(List<Attempt> attempts) {
        int fewest = attempts.stream().mapToInt(Attempt::upstream).min().orElseThrow();
        int most = attempts.stream().mapToInt(Attempt::upstream).max().orElseThrow();
        String calls = fewest == most ? String.valueOf(most) : fewest + " to " + most;
        int requests = attempts.stream().mapToInt(Attempt::requests).max().orElseThrow();
        return requests < 0 ? calls : calls + " for up to " + requests + " requests";
    }

    static String time(long millis) {
        return millis < 1_000 ? millis + " ms" : String.format(Locale.ROOT, "%.1f s", millis / 1e3);
    }

    /** Returns one table per SDK; several failures with the same text share a row. */
    synchronized String quotes() {
        StringBuilder text = new StringBuilder();
        for (Workload workload : Workload.values()) {
            Map<String, List<Quote>> byText = quotes.stream()
                    .filter(quote -> quote.workload == workload)
                    .collect(Collectors.groupingBy(quote -> quote.text, LinkedHashMap::new, Collectors.toList()));
            if (!byText.isEmpty()) {
                text.append(text.isEmpty() ? "" : "\n").append("### ").append(workload.title()).append("\n\n");
                row(text, Stream.of("what is wrong", "what its user reads"));
                row(text, Stream.of("---", "---"));
                byText.forEach((words, all) -> row(text, Stream.of(
                        all.stream()
                                .map(quote -> quote.trouble.title() + " (" + time(quote.millis) + ")")
                                .collect(Collectors.joining("; ")),
                        code(words))));
            }
        }
        return text.toString();
    }

    /** Returns what each SDK sends, and how it retries. */
    synchronized String wires() {
        StringBuilder table = new StringBuilder();
        row(table, Stream.of("SDK", "what it sends, in this order", "its connection"));
        row(table, Stream.of("---", "---", "---"));
        wires.forEach((workload, wire) -> row(table, Stream.of(workload.title(), wire.request, wire.connection)));
        table.append('\n');
        row(table, Stream.of("SDK", "no answer", "503", "503 with `Retry-After: 1`", "connection refused"));
        row(table, Stream.of("---", "---", "---", "---", "---"));
        wires.forEach((workload, wire) -> row(table,
                Stream.of(workload.title(), wire.silent, wire.unavailable, wire.retryAfter, wire.refused)));
        return table.toString();
    }

    private static void row(StringBuilder table, Stream<String> cells) {
        table.append(cells.collect(Collectors.joining(" | ", "| ", " |\n")));
    }

    /** Formats text as code in a table cell: on one line, and without characters that would end the code or the cell. */
    static String code(String text) {
        String line = text.strip().replaceAll("\\s*\\n\\s*", " ⏎ ").replace("|", "\\|");
        return line.contains("`") ? "`` " + line + " ``" : "`" + line + "`";
    }

    /**
     * Returns the page, with the text between {@code <!-- name -->} and {@code <!-- end of name -->} replaced for each name.
     *
     * @throws IllegalArgumentException if the page has no such place
     */
    static String into(String page, Map<String, String> parts) {
        String result = page;
        for (Map.Entry<String, String> part : parts.entrySet()) {
            String begin = "<!-- " + part.getKey() + " -->\n";
            String end = "<!-- end of " + part.getKey() + " -->";
            Matcher place = Pattern.compile(Pattern.quote(begin) + ".*?" + Pattern.quote(end), Pattern.DOTALL).matcher(result);
            if (!place.find()) {
                throw new IllegalArgumentException("The page has no " + begin.strip() + " with its end");
            }
            result = result.substring(0, place.start()) + begin + "\n" + part.getValue() + "\n" + end + result.substring(place.end());
        }
        return result;
    }
}
