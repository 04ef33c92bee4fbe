package dev.podidentity.agent.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.junit.jupiter.api.Test;

class CommandTemplateTest {

    @Test
    void splitsWordsAsAShellDoes() {
        assertThat(CommandTemplate.parse("  a  'b c' \"d \\\" e\" f\\ g '' h'i'j ").words())
                .containsExactly("a", "b c", "d \" e", "f g", "", "hij");
    }

    @Test
    void putsValuesInPlaceOfPlaceholders() {
        CommandTemplate template = CommandTemplate.parse("agent {heap} --port {port} --url http://h:{port}/$1");

        assertThat(template.expand(Map.of("heap", "", "port", "80")))
                .containsExactly("agent", "--port", "80", "--url", "http://h:80/$1");
    }

    @Test
    void namesThePlaceholdersThatThereAre() {
        assertThatThrownBy(() -> CommandTemplate.parse("agent {prot}").expand(Map.of("port", "80")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContainingAll("{prot}", "port");
    }

    @Test
    void rejectsAnOpenQuoteAndNothingAtAll() {
        assertThatThrownBy(() -> CommandTemplate.parse("agent 'x")).hasMessageContaining("not closed");
        assertThatThrownBy(() -> CommandTemplate.parse(" ")).hasMessageContaining("executable");
    }
}
