package dev.podidentity.agent.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.observe.Limit;
import io.netty.channel.embedded.EmbeddedChannel;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The limit on connections between the accepting thread and the event loop. */
class AcceptGateTest {

    private static final int MANY = 5_000;
    private static final String FLOODING = "10.0.0.1";

    private final Queue<Runnable> loop = new ArrayDeque<>();
    private final List<String> rejections = new ArrayList<>();
    private final EmbeddedChannel acceptor = new EmbeddedChannel(
            new AcceptGate(loop::add, (limit, source) -> rejections.add(limit + " " + source)));

    @AfterEach
    void close() {
        acceptor.finishAndReleaseAll();
    }

    @Test
    void closesWhatOneSourceOpensFasterThanTheLoopTakesIn() {
        // When
        List<EmbeddedChannel> accepted = accept(MANY, i -> FLOODING);
        // Then
        assertThat(passed()).isEqualTo(AcceptGate.MOST_OF_SOURCE);
        assertThat(accepted.stream().filter(EmbeddedChannel::isOpen)).hasSize(AcceptGate.MOST_OF_SOURCE);
    }

    @Test
    void letsAnotherSourceInDuringAFlood() {
        // Given
        accept(MANY, i -> FLOODING);
        passed();
        // When
        accept(1, i -> "10.0.1.1");
        // Then
        assertThat(passed()).isEqualTo(1);
    }

    @Test
    void boundsWhatThousandsOfSourcesOpen() {
        // When
        accept(MANY, i -> "10.1." + i / 250 + "." + i % 250);
        // Then
        assertThat(passed()).isEqualTo(AcceptGate.MOST);
    }

    @Test
    void letsASourceInAgainOnceTheLoopHasTakenItsConnectionsIn() {
        // Given
        accept(MANY, i -> FLOODING);
        passed();
        // When
        turnOfTheLoop();
        accept(1, i -> FLOODING);
        // Then
        assertThat(passed()).isEqualTo(1);
    }

    @Test
    void tellsTheLoopOfWhatItClosed() {
        // When
        accept(AcceptGate.MOST_OF_SOURCE + 3, i -> FLOODING);
        assertThat(rejections).as("before the loop's turn").isEmpty();
        turnOfTheLoop();
        // Then
        assertThat(rejections).hasSize(3).containsOnly(Limit.SOURCE_CONNECTIONS + " " + FLOODING);
    }

    @Test
    void keepsNoMoreThanACountOfAFloodForTheLoop() {
        // When
        accept(MANY, i -> FLOODING);
        // Then
        assertThat(loop).hasSize(AcceptGate.MOST_OF_SOURCE + 1);
        turnOfTheLoop();
        assertThat(rejections).hasSizeLessThan(MANY / 2);
    }

    private List<EmbeddedChannel> accept(int connections, IntFunction<String> source) {
        List<EmbeddedChannel> accepted =
                IntStream.range(0, connections).mapToObj(i -> connection(source.apply(i))).toList();
        accepted.forEach(acceptor::writeInbound);
        return accepted;
    }

    /** Returns how many connections the gate has admitted since the last call. */
    private int passed() {
        int passed = 0;
        while (acceptor.readInbound() != null) {
            passed++;
        }
        return passed;
    }

    private void turnOfTheLoop() {
        while (!loop.isEmpty()) {
            loop.remove().run();
        }
    }

    private static EmbeddedChannel connection(String source) {
        return new EmbeddedChannel() {
            @Override
            protected SocketAddress remoteAddress0() {
                return new InetSocketAddress(source, 1);
            }
        };
    }
}
