package dev.podidentity.agent.loop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class BoundedMapTest {

    private final BoundedMap<String, Integer> map = new BoundedMap<>(3);

    @Test
    void evictsTheEntryThatWasUsedLeastRecently() {
        // Given
        map.put("a", 1);
        map.put("b", 2);
        map.put("c", 3);

        // When
        map.get("a");
        map.put("b", 20);
        map.put("d", 4);

        // Then
        assertThat(map).containsOnlyKeys("a", "b", "d");
    }

    @Test
    void doesNotUseAnEntryByAskingWhetherItIsThere() {
        // Given
        map.put("a", 1);
        map.put("b", 2);
        map.put("c", 3);

        // When
        assertThat(map.containsKey("a")).isTrue();
        map.put("d", 4);

        // Then
        assertThat(map).doesNotContainKey("a");
    }

    @Test
    void isBoundedHoweverEntriesComeIn() {
        IntStream.range(0, 100).forEach(i -> map.computeIfAbsent("computed " + i, key -> i));
        assertThat(map).containsOnlyKeys("computed 97", "computed 98", "computed 99");

        IntStream.range(0, 100).forEach(i -> map.merge("merged " + i, i, Integer::sum));
        assertThat(map).containsOnlyKeys("merged 97", "merged 98", "merged 99");

        IntStream.range(0, 100).forEach(i -> map.putIfAbsent("put " + i, i));
        assertThat(map).containsOnlyKeys("put 97", "put 98", "put 99");
    }

    @Test
    void holdsOneEntryAtLeast() {
        BoundedMap<String, Integer> one = new BoundedMap<>(1);
        one.put("a", 1);
        one.put("b", 2);

        assertThat(one).containsOnlyKeys("b");
        assertThatIllegalArgumentException().isThrownBy(() -> new BoundedMap<String, Integer>(0));
    }
}
