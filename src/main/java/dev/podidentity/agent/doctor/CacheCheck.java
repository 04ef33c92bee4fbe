package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.List;
import java.util.stream.Stream;

/** Shows the running agent's cache, and the source addresses that it limits. */
final class CacheCheck implements Check {

    private static final int NOT_FOUND = 404;
    private static final int MOST_SHOWN = 50;

    private final AgentHttp agent;

    CacheCheck(AgentHttp agent) {
        this.agent = agent;
    }

    @Override
    public String name() {
        return "cache";
    }

    @Override
    public List<Finding> examine() {
        try {
            return Stream.concat(entries(agent.get("/debug/entries")), sources(agent.get("/debug/sources"))).toList();
        } catch (CallFailure failure) {
            return List.of(Finding.skip("The cache cannot be read, because the agent does not respond"));
        }
    }

    private static Stream<Finding> entries(ApiAnswer answer) throws CallFailure {
        // Older agents do not have this route.
        if (answer.status() == NOT_FOUND) {
            return Stream.empty();
        }
        List<JsonObject> entries = objects(answer.json("/debug/entries"), "entries");
        List<JsonObject> failed = entries.stream().filter(entry -> entry.getValue("lastFailure") != null).toList();
        String seen = "The cache holds " + entries.size() + (entries.size() == 1 ? " identity" : " identities");
        Finding finding = failed.isEmpty()
                ? Finding.ok(seen)
                : Finding.warn(seen + "; the last renewal of " + failed.size() + " failed",
                        "See the failures below; cached credentials are served until they expire");
        return Stream.of(finding.with(shown(Stream.concat(
                failed.stream(), entries.stream().filter(entry -> !failed.contains(entry))).map(CacheCheck::line).toList())));
    }

    private static String line(JsonObject entry) {
        Object pod = entry.getValue("podName");
        return text(entry, "namespace") + "/" + text(entry, "serviceAccount") + (pod == null ? "" : " of pod " + pod)
                + ", pods " + text(entry, "pods") + ", " + text(entry, "role") + ", expires " + text(entry, "expiration")
                + ", renewal " + text(entry, "nextRenewal") + ", hits " + text(entry, "hits")
                + (entry.getValue("lastFailure") == null ? "" : ", last failure: " + text(entry, "lastFailure"));
    }

    private static Stream<Finding> sources(ApiAnswer answer) throws CallFailure {
        if (answer.status() == NOT_FOUND) {
            return Stream.empty();
        }
        List<String> limited = objects(answer.json("/debug/sources"), "sources").stream()
                .filter(source -> Boolean.TRUE.equals(source.getValue("limited")))
                .map(CacheCheck::source)
                .toList();
        return limited.isEmpty()
                ? Stream.of(Finding.ok("No source address is limited"))
                : Stream.of(Finding.warn(limited.size() + " source addresses were limited",
                        "Find the pods with these addresses, and let their SDKs cache credentials; if a CNI plugin"
                                + " masquerades pods' traffic, raise --source-requests-per-second").with(shown(limited)));
    }

    private static String source(JsonObject source) {
        StringBuilder line = new StringBuilder(text(source, "address"));
        source.forEach(member -> {
            if (!member.getKey().equals("address") && !member.getKey().equals("limited") && member.getValue() != null) {
                line.append(", ").append(member.getKey()).append(' ').append(member.getValue());
            }
        });
        return line.toString();
    }

    private static List<String> shown(List<String> lines) {
        return lines.size() <= MOST_SHOWN
                ? lines
                : Stream.concat(lines.stream().limit(MOST_SHOWN), Stream.of("and " + (lines.size() - MOST_SHOWN) + " more")).toList();
    }

    private static List<JsonObject> objects(JsonObject of, String name) {
        return of.getValue(name) instanceof JsonArray array
                ? array.stream().filter(JsonObject.class::isInstance).map(JsonObject.class::cast).toList()
                : List.of();
    }

    private static String text(JsonObject of, String name) {
        Object value = of.getValue(name);
        return value == null ? "unknown" : String.valueOf(value);
    }
}
