package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.podidentity.agent.SdkReport.Attempt;
import dev.podidentity.agent.SdkReport.Quote;
import dev.podidentity.agent.SdkReport.Wire;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SdkReportTest {

    private final SdkReport report = new SdkReport();

    @Test
    void countsTheCallsThatSucceedAndShowsTheMedianTime() {
        // Given
        report.add(new Attempt(Workload.BOTO3, SdkCase.COLD, 1, 1, 30, 1, -1, ""));
        report.add(new Attempt(Workload.BOTO3, SdkCase.COLD, 0, 1, 1_250, 3, -1, ""));
        report.add(new Attempt(Workload.BOTO3, SdkCase.COLD, 1, 1, 20, 1, -1, ""));
        report.add(new Attempt(Workload.RUST, SdkCase.COLD, 1, 1, 2_400, 2, -1, ""));

        // When
        String table = report.matrix();

        // Then
        assertThat(table.lines()).hasSize(3).anySatisfy(line -> assertThat(line)
                .startsWith("| " + SdkCase.COLD.title() + " |")
                .contains("| 2/3, 30 ms |")
                .contains("| 1/1, 2.4 s |")
                .contains("| not run |")
                .endsWith("| 3/4 | 1 to 3 |"));
    }

    @Test
    void addsUpTheCallsOfAttemptsThatMakeMany() {
        // Given
        report.add(new Attempt(Workload.GO_V2, SdkCase.FIFTY_COLD, 50, 50, 80, 1, -1, ""));
        report.add(new Attempt(Workload.GO_V1, SdkCase.FIFTY_COLD, 49, 50, 90, 1, -1, ""));

        // When
        String table = report.matrix();

        // Then
        assertThat(table).contains("| 50/50, 80 ms |").endsWith("| 99/100 | 1 |\n");
    }

    @Test
    void saysHowManyRequestsStandAgainstTheCallsWhereTheyAreCounted() {
        // Given
        report.add(new Attempt(Workload.GO_V2, SdkCase.EXPIRING, 40, 40, 80, 2, 41, ""));

        // When
        String table = report.matrix();

        // Then
        assertThat(table).endsWith("| 40/40 | 2 for up to 41 requests |\n");
    }

    @Test
    void everyRowHasAsManyCellsAsTheHeader() {
        // Given
        report.add(new Attempt(Workload.JAVA_V1, SdkCase.HIT, 1, 1, 5, 0, -1, ""));

        // When
        String table = report.matrix();

        // Then
        long cells = Workload.values().length + 3;
        assertThat(table.lines()).allSatisfy(line -> assertThat(line.chars().filter(c -> c == '|').count()).isEqualTo(cells + 1));
    }

    @Test
    void writesALineForEachAttempt() {
        // Given
        report.add(new Attempt(Workload.RUST, SdkCase.AWAY_5_S, 0, 1, 4_300, 10, -1, "says \"no\", again"));

        // When
        String csv = report.csv();

        // Then
        assertThat(csv.lines()).containsExactly(
                "sdk,case,succeeded,of,millis,upstream_calls,requests,problem",
                "Rust,AWAY_5_S,0,1,4300,10,-1,\"says \"\"no\"\", again\"");
    }

    @Test
    void leavesOutWhatOtherProvidersOfAChainSay() {
        assertThat(Workload.JAVA_V1.shortened("chain: [EnvironmentVariableCredentialsProvider: no, "
                        + "com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper@5f0e9815: denied]"))
                .isEqualTo("chain: [… EC2ContainerCredentialsProviderWrapper: denied]");
        assertThat(Workload.JAVA_V2.shortened("in the chain AwsCredentialsProviderChain(credentialsProviders=[...]) : "
                        + "[SystemPropertyCredentialsProvider(): no, ContainerCredentialsProvider(): denied, other]"))
                .isEqualTo("in the chain … : [… ContainerCredentialsProvider(): denied, other]");
        assertThat(Workload.GO_V2.shortened("denied")).isEqualTo("denied");
    }

    @Test
    void quotesTheSameWordsOnce() {
        // Given
        report.add(new Quote(Workload.GO_V1, SdkTrouble.NO_ASSOCIATION, 10, "NoCredentialProviders"));
        report.add(new Quote(Workload.GO_V1, SdkTrouble.ACCESS_DENIED, 4_000, "NoCredentialProviders"));
        report.add(new Quote(Workload.GO_V1, SdkTrouble.NO_AGENT, 20, "refused"));

        // When
        String quotes = report.quotes();

        // Then
        assertThat(quotes).contains("### Go v1").doesNotContain("### Go v2").containsOnlyOnce("`NoCredentialProviders`");
        assertThat(quotes).contains("| " + SdkTrouble.NO_ASSOCIATION.title() + " (10 ms); "
                + SdkTrouble.ACCESS_DENIED.title() + " (4.0 s) | `NoCredentialProviders` |");
    }

    @Test
    void aQuoteStaysInItsCell() {
        // When
        String code = SdkReport.code("first: a|b\n  second `c` \n");

        // Then
        assertThat(code).isEqualTo("`` first: a\\|b ⏎ second `c` ``");
    }

    @Test
    void namesWhatIsNotRunWithTheFirstLineOfTheReason() {
        // Given
        report.notRun(Workload.RUST, "Assumption failed: Cannot run program \"cargo\" (in directory \"/x y\"): error=2\nmore");

        // When
        String versions = report.versions();

        // Then
        assertThat(versions)
                .contains("- Rust " + Workload.RUST.version() + ": not run (Cannot run program \"cargo\": error=2)\n")
                .contains("- boto3 " + Workload.BOTO3.version() + "\n");
    }

    @Test
    void findsThePinnedVersionOfEverySdk() {
        assertThat(Workload.values()).allSatisfy(workload -> assertThat(workload.version()).matches("\\d+\\.\\d+\\.\\d+"));
    }

    @Test
    void showsWhatAnSdkSendsAndHowItRetries() {
        // Given
        report.add(Workload.RUST, new Wire("`accept: a`", "left open", "3 tries", "2 tries", "4 tries", "at once"));

        // When
        String wires = report.wires();

        // Then
        assertThat(wires)
                .contains("| Rust | `accept: a` | left open |\n")
                .contains("| Rust | 3 tries | 2 tries | 4 tries | at once |\n");
    }

    @Test
    void putsItsPartsIntoThePage() {
        // Given
        String page = "before\n<!-- matrix -->\n\nold $1\n<!-- end of matrix -->\nafter\n";

        // When
        String result = SdkReport.into(page, Map.of("matrix", "new $2\n"));

        // Then
        assertThat(result).isEqualTo("before\n<!-- matrix -->\n\nnew $2\n\n<!-- end of matrix -->\nafter\n");
        assertThat(SdkReport.into(result, Map.of("matrix", "new $2\n"))).isEqualTo(result);
    }

    @Test
    void refusesAPageWithoutAPlaceForAPart() {
        assertThatThrownBy(() -> SdkReport.into("<!-- matrix -->\n", Map.of("matrix", "")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("<!-- matrix -->");
    }
}
