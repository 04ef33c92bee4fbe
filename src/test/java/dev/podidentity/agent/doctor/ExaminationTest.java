package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ExaminationTest {

    private static final Finding OK = Finding.ok("All is well");
    private static final Finding WARN = Finding.warn("It is odd", "Look at it");
    private static final Finding FAIL = Finding.fail("It is broken", "Fix it");
    private static final Finding SKIP = Finding.skip("It cannot be seen");

    private final StringWriter out = new StringWriter();

    static Stream<Arguments> codes() {
        return Stream.of(
                arguments(List.of(), 0),
                arguments(List.of(OK, SKIP), 0),
                arguments(List.of(WARN, OK), 1),
                arguments(List.of(FAIL, WARN, OK), 2),
                arguments(List.of(OK, FAIL), 2));
    }

    @ParameterizedTest
    @MethodSource("codes")
    void endsWithTheWorstThatWasSeen(List<Finding> findings, int code) {
        assertThat(examine(new TextReport(new PrintWriter(out)), findings)).isEqualTo(code);
        assertThat(examine(new JsonReport(new PrintWriter(out)), findings)).isEqualTo(code);
    }

    @Test
    void printsALineForEachFindingWithWhatToDo() {
        // When
        examine(new TextReport(new PrintWriter(out)), List.of(OK, FAIL, SKIP, WARN.with(List.of("first", "second"))));

        // Then
        assertThat(out.toString().lines()).containsExactly(
                "ok    thing               All is well",
                "fail  thing               It is broken. Fix it",
                "skip  thing               It cannot be seen",
                "warn  thing               It is odd. Look at it",
                "      first",
                "      second");
    }

    @Test
    void printsOneJsonObjectForAll() {
        // When
        examine(new JsonReport(new PrintWriter(out)), List.of(OK, FAIL.with(List.of("first"))));

        // Then
        assertThat(new JsonObject(out.toString())).isEqualTo(new JsonObject()
                .put("exitCode", 2)
                .put("findings", new JsonArray()
                        .add(new JsonObject().put("check", "thing").put("status", "ok").put("seen", "All is well"))
                        .add(new JsonObject()
                                .put("check", "thing")
                                .put("status", "fail")
                                .put("seen", "It is broken")
                                .put("remedy", "Fix it")
                                .put("details", new JsonArray().add("first")))));
    }

    @Test
    void letsNobodysNameSteerTheTerminal() {
        // When
        examine(new TextReport(new PrintWriter(out)), List.of(Finding.ok("\u001b[2Jgone\nok    forged")));

        // Then
        assertThat(out.toString().lines()).containsExactly("ok    thing               ?[2Jgone?ok    forged");
    }

    private static int examine(Report report, List<Finding> findings) {
        Examination examination = new Examination(report);
        examination.run(List.of(new Check() {
            @Override
            public String name() {
                return "thing";
            }

            @Override
            public List<Finding> examine() {
                return findings;
            }
        }));
        return examination.end();
    }
}
