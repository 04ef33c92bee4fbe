package dev.podidentity.agent.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AxisTest {

    @Test
    void beginsWithZeroAndHasRoundLabels() {
        assertThat(Axis.fromZero(97_000, 0, 1).labels()).isEqualTo(List.of(0.0, 20_000.0, 40_000.0, 60_000.0, 80_000.0, 100_000.0));
        assertThat(Axis.fromZero(4.2, 0, 1).labels()).isEqualTo(List.of(0.0, 1.0, 2.0, 3.0, 4.0, 5.0));
        assertThat(Axis.fromZero(0, 0, 1).to()).isPositive();
    }

    @ParameterizedTest
    @ValueSource(doubles = {1e-3, 0.1, 0.13, 1, 4.99, 5, 5.01, 99, 1_000, 123_456})
    void holdsItsLargestNumber(double largest) {
        assertThat(Axis.fromZero(largest, 400, 80).to()).isBetween(largest * 0.999, largest * 2);
        assertThat(Axis.ofLogarithms(largest / 7, largest, 400, 80).to()).isBetween(largest * 0.999, largest * 2.6);
        assertThat(Axis.ofLogarithms(largest / 7, largest, 400, 80).from()).isLessThanOrEqualTo(largest / 7 * 1.001);
    }

    @Test
    void putsEqualFactorsAtEqualDistancesByLogarithms() {
        Axis axis = Axis.ofLogarithms(0.1, 1_000, 0, 400);

        assertThat(axis.labels()).hasSize(5);
        assertThat(axis.place(0.1)).isEqualTo(0);
        assertThat(axis.place(10)).isCloseTo(200, within(1e-6));
        assertThat(axis.place(1_000)).isEqualTo(400);
    }

    @Test
    void labelsFewDecadesInBetweenToo() {
        Axis axis = Axis.ofLogarithms(0.12, 8, 0, 400);

        assertThat(axis.labels()).extracting(axis::text).containsExactly("0.1", "0.2", "0.5", "1", "2", "5", "10");
    }

    @Test
    void hasAsManyDecimalsAsItsLabelsNeed() {
        Axis thousands = Axis.fromZero(97_000, 0, 1);
        Axis tenths = Axis.fromZero(0.9, 0, 1);

        assertThat(thousands.labels()).extracting(thousands::text).contains("0", "20,000", "100,000");
        assertThat(tenths.labels()).extracting(tenths::text).containsExactly("0.0", "0.2", "0.4", "0.6", "0.8", "1.0");
    }
}
