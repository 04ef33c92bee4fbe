package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.util.List;
import java.util.Map;

/** Requests that the agent serves from its cache, and one that it answers without reading the token. */
final class HitGroup implements Group {

    static final int MANY = 2_000;

    /** The numbers of connections with one identity that the plots show. */
    static final List<Integer> CONNECTIONS = List.of(1, 8, 64, 1_000);

    static String variant(int connections, int identities) {
        return (connections == 1 ? "1 connection" : Spread.number(connections, 0) + " connections") + ", "
                + (identities == 1 ? "1 identity" : Spread.number(identities, 0) + " identities");
    }

    @Override
    public String name() {
        return "hits";
    }

    @Override
    public String title() {
        return "Hits";
    }

    @Override
    public List<Measure> measures() {
        return List.of(Measure.REQUESTS, Measure.P50, Measure.P99, Measure.CPU, Measure.RESIDENT, Measure.ANONYMOUS, Measure.ERRORS);
    }

    @Override
    public List<Plot> plots(Results results) {
        return List.of(
                byConnections("hits-rate", "Cache hits per second", "requests/s", Plot.Form.LINES, Measure.REQUESTS, results),
                byConnections("hits-p99", "p99 of cache hits", "p99, ms", Plot.Form.LINES_OF_LOGARITHMS, Measure.P99,
                        results),
                byConnections("hits-cpu", "CPU time per 100,000 cache hits", "CPU, s", Plot.Form.LINES, Measure.CPU, results));
    }

    private Plot byConnections(String file, String title, String up, Plot.Form form, Measure measure, Results results) {
        return Plot.of(file, title + ", one identity", "connections", up, form, name(), results, CONNECTIONS.stream()
                .map(connections -> new Plot.Case(Plot.Place.of(connections), variant(connections, 1), measure))
                .toList());
    }

    @Override
    public boolean includes(Contender contender) {
        return true;
    }

    @Override
    public void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException {
        boolean bare = contender.kind() == Contender.Kind.BARE;
        try (RunningAgent agent = bench.starter(contender).serving(bench.tokens().first(1).get(0))) {
            for (int connections : CONNECTIONS) {
                recorder.add(variant(connections, 1), bench.load(agent, Load.of(connections), 1));
            }
            recorder.add("8 at once, a connection for each request", bench.load(agent, Load.of(8).withoutKeepAlive(), 1));
            if (!bare) {
                Map<Measure, Double> notFound = bench.load(agent, Load.of(8).notFound(), 1);
                // All of them are refused.
                notFound.remove(Measure.ERRORS);
                recorder.add("8 connections, 404", notFound);
                bench.fill(agent, MANY);
            }
            for (int connections : CONNECTIONS) {
                recorder.add(variant(connections, MANY), bench.load(agent, Load.of(connections), MANY));
            }
        }
    }
}
