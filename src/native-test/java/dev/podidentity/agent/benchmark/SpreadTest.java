package dev.podidentity.agent.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class SpreadTest {

    @Test
    void hasTheMedianBetweenTheLeastAndTheMost() {
        assertThat(Spread.of(List.of(9.0, 1.0, 4.0))).isEqualTo(new Spread(4, 1, 9));
        assertThat(Spread.of(List.of(9.0, 1.0, 4.0, 6.0))).isEqualTo(new Spread(5, 1, 9));
        assertThatThrownBy(() -> Spread.of(List.of())).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void hasPercentilesThatAreValues() {
        List<Double> values = List.of(40.0, 10.0, 30.0, 20.0);

        assertThat(Spread.percentile(values, 50)).isEqualTo(20);
        assertThat(Spread.percentile(values, 51)).isEqualTo(30);
        assertThat(Spread.percentile(values, 100)).isEqualTo(40);
    }

    @Test
    void showsTheSpreadOnlyWhereItCanBeSeen() {
        assertThat(new Spread(5012.4, 4980, 5100).text(0)).isEqualTo("5,012 (4,980 to 5,100)");
        assertThat(new Spread(1.01, 1, 1.02).text(1)).isEqualTo("1.0");
    }
}
