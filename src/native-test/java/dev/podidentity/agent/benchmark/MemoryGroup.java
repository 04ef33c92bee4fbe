package dev.podidentity.agent.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * The memory that an agent uses on its node, as the kubelet counts it: in its own memory control group, and with its
 * executable not in the page cache.
 */
final class MemoryGroup implements Group {

    static final String IDLE = "idle";
    static final String ONE_REQUEST = "one request, then idle";
    static final String FULL = "2,000 identities, then idle";
    static final String LOAD = "load of 64 connections";

    private static final String FILE = "the executable's file";
    private static final int IDENTITIES = 2_000;
    private static final int CONNECTIONS = 64;
    private static final long SETTLE_MILLIS = 6_000;
    private static final long SAMPLE_MILLIS = 100;
    private static final double BYTES_PER_MEGABYTE = 1e6;

    @Override
    public String name() {
        return "memory";
    }

    @Override
    public String title() {
        return "Memory";
    }

    @Override
    public List<Measure> measures() {
        return List.of(Measure.WORKING_SET, Measure.ANONYMOUS, Measure.RESIDENT, Measure.PAGE_CACHE, Measure.FILE);
    }

    @Override
    public List<Plot> plots(Results results) {
        return List.of(Plot.of(
                "memory", "Memory as the kubelet counts it", "", "working set, MB", Plot.Form.BARS, name(), results, List.of(
                        shown("idle", IDLE), shown("one request,\nthen idle", ONE_REQUEST),
                        shown("2,000 identities,\nthen idle", FULL), shown("load of\n64 connections", LOAD))));
    }

    private static Plot.Case shown(String label, String variant) {
        return new Plot.Case(Plot.Place.of(label), variant, Measure.WORKING_SET);
    }

    @Override
    public void measure(Contender contender, Bench bench, Recorder recorder) throws IOException, InterruptedException {
        dropFromPageCache(contender.executable());
        try (ControlGroup group = ControlGroup.make();
                RunningAgent agent = bench.starter(contender).in(group).listening()) {
            Thread.sleep(SETTLE_MILLIS);
            recorder.add(IDLE, figures(agent, group));
            agent.answer(bench.tokens().first(1).get(0));
            Thread.sleep(SETTLE_MILLIS);
            recorder.add(ONE_REQUEST, figures(agent, group));
            bench.fill(agent, IDENTITIES);
            Thread.sleep(SETTLE_MILLIS);
            recorder.add(FULL, figures(agent, group));
            recorder.add(LOAD, underLoad(agent, group, bench));
            recorder.add(FILE, Map.of(Measure.FILE, Files.size(contender.executable()) / BYTES_PER_MEGABYTE));
        }
    }

    /** On a node that has just pulled the image, none of it is in memory. */
    private static void dropFromPageCache(Path file) throws IOException, InterruptedException {
        Process dd = new ProcessBuilder("dd", "if=" + file, "iflag=nocache", "count=0")
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        if (dd.waitFor() != 0) {
            throw new CannotBeMeasured("dd cannot drop the executable from the page cache", null);
        }
    }

    private static Map<Measure, Double> figures(RunningAgent agent, ControlGroup group) throws IOException {
        ControlGroup.Usage usage = group.usage();
        Map<Measure, Double> values = new EnumMap<>(Measure.class);
        values.put(Measure.WORKING_SET, usage.workingSet());
        values.put(Measure.PAGE_CACHE, usage.pageCache());
        values.put(Measure.RESIDENT, agent.figures().residentMegabytes());
        values.put(Measure.ANONYMOUS, agent.figures().anonymousMegabytes());
        return values;
    }

    /** Returns the medians of samples. */
    private static Map<Measure, Double> underLoad(RunningAgent agent, ControlGroup group, Bench bench)
            throws IOException, InterruptedException {
        Path tokens = bench.tokens().file(IDENTITIES);
        CompletableFuture<WrkResult> load = CompletableFuture.supplyAsync(() -> {
            try {
                return bench.wrk().run(agent.port(), Load.of(CONNECTIONS), bench.settings().seconds(), tokens);
            } catch (IOException e) {
                throw new CompletionException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new CompletionException(e);
            }
        });
        Map<Measure, List<Double>> samples = new EnumMap<>(Measure.class);
        while (!load.isDone()) {
            Thread.sleep(SAMPLE_MILLIS);
            figures(agent, group).forEach((measure, value) -> samples.computeIfAbsent(measure, key -> new ArrayList<>()).add(value));
        }
        load.join();
        Map<Measure, Double> medians = new EnumMap<>(Measure.class);
        samples.forEach((measure, values) -> medians.put(measure, Spread.of(values).median()));
        return medians;
    }
}
