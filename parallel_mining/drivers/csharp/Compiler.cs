// Runs inside the sandbox, on .NET: compiles the programs of a batch with Roslyn into one assembly, a namespace each,
// without those that fail. See `supervisor` for the protocol.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

public static class Compiler
{
    // What projects get without asking for it, and what the compiler looks for in a library that came after .NET Core 3.1.
    // Outside the programs' namespaces, so that whatever a program has itself comes first.
    const string Shared = @"
global using global::System;
global using global::System.Collections.Generic;
global using global::System.IO;
global using global::System.Linq;
global using global::System.Threading;
global using global::System.Threading.Tasks;

namespace System.Runtime.CompilerServices
{
    internal static class IsExternalInit { }

    [AttributeUsage(AttributeTargets.Parameter)]
    internal sealed class CallerArgumentExpressionAttribute : Attribute
    {
        public CallerArgumentExpressionAttribute(string parameterName) { }
    }
}";

    static readonly CSharpParseOptions Parsing = new CSharpParseOptions(LanguageVersion.Latest, DocumentationMode.None);
    static readonly DiagnosticDescriptor Crashed =
        new DiagnosticDescriptor("crash", "", "{0}", "compiler", DiagnosticSeverity.Error, true);
    static FileStream protocol;

    public static void Main(string[] arguments)
    {
        bool whole = arguments.Length > 0;
        protocol = new FileStream("/proc/self/fd/3", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 1);
        var left = new Dictionary<int, SyntaxTree>();
        foreach (var file in Directory.GetFiles("/job/programs"))
        {
            int k = int.Parse(Path.GetFileNameWithoutExtension(file));
            var tree = CSharpSyntaxTree.ParseText(SourceText.From(File.ReadAllText(file)), Parsing);
            var errors = tree.GetDiagnostics().Where(Fatal).ToList();
            if (errors.Count > 0) Fail(k, errors);
            else if (whole)
            {
                tree = Method(tree);
                bool runs = tree.GetRoot().DescendantNodes().OfType<MethodDeclarationSyntax>()
                    .Any(method => method.Identifier.Text == "Main");
                if (runs) left[k] = Apart(tree, k);
                else Tell("X " + k + " " + Hexed("there is no static Main"));
            }
            else if (((CompilationUnitSyntax)tree.GetRoot()).Members.OfType<GlobalStatementSyntax>().Any())
            {
                Tell("X " + k + " " + Hexed("top-level statements are no method that could be called"));
            }
            else left[k] = Apart(tree, k);
        }
        var compilation = CSharpCompilation.Create(
            "built",
            left.Values.Concat(new[] { CSharpSyntaxTree.ParseText(Shared, Parsing) }),
            File.ReadLines("/job/references").Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(
                OutputKind.DynamicallyLinkedLibrary,
                allowUnsafe: true,
                optimizationLevel: OptimizationLevel.Release,
                concurrentBuild: false,
                warningLevel: 0));
        Build(compilation, left);
        Tell("Z");
    }

    /// Emit what compiles. The compiler tells of wrong bodies only when all declarations are right, so it takes rounds.
    static void Build(CSharpCompilation compilation, Dictionary<int, SyntaxTree> left)
    {
        bool alone = false;
        while (left.Count > 0)
        {
            var said = Emit(compilation);
            if (said == null) return;
            var numbers = left.ToDictionary(pair => pair.Value, pair => pair.Key);
            var failed = said.Where(error => error.Location.IsInSource && numbers.ContainsKey(error.Location.SourceTree))
                .GroupBy(error => numbers[error.Location.SourceTree])
                .ToDictionary(group => group.Key, group => group.ToList());
            if (failed.Count == 0 && !alone && left.Count > 1)
            {
                // Nothing points at a program: see which cannot be compiled even without the others.
                alone = true;
                var others = compilation.RemoveSyntaxTrees(left.Values);
                failed = left.ToDictionary(pair => pair.Key, pair => Emit(others.AddSyntaxTrees(pair.Value)))
                    .Where(pair => pair.Value != null).ToDictionary(pair => pair.Key, pair => pair.Value);
            }
            else if (failed.Count == 0) failed = left.Keys.ToDictionary(k => k, k => said);
            compilation = compilation.RemoveSyntaxTrees(failed.Keys.Select(k => left[k]));
            foreach (var pair in failed)
            {
                Fail(pair.Key, pair.Value);
                left.Remove(pair.Key);
            }
        }
    }

    /// Return nothing where the assembly could be made, else what is wrong.
    static List<Diagnostic> Emit(CSharpCompilation compilation)
    {
        var built = new MemoryStream();
        try
        {
            var done = compilation.Emit(built);
            if (!done.Success) return done.Diagnostics.Where(Fatal).ToList();
        }
        catch (Exception error)
        {
            return new List<Diagnostic> { Diagnostic.Create(Crashed, Location.None, error.ToString()) };
        }
        File.WriteAllBytes("/tmp/built.dll", built.ToArray());
        return null;
    }

    /// Top-level statements as what the compiler makes of them: the method Main of a class.
    static SyntaxTree Method(SyntaxTree tree)
    {
        var root = (CompilationUnitSyntax)tree.GetRoot();
        var loose = root.Members.OfType<GlobalStatementSyntax>().ToList();
        if (loose.Count == 0) return tree;
        var own = loose.SelectMany(one => one.DescendantNodes(
            node => !(node is LocalFunctionStatementSyntax || node is AnonymousFunctionExpressionSyntax))).ToList();
        bool waits = own.Any(node => node is AwaitExpressionSyntax
            || node is ForEachStatementSyntax each && !each.AwaitKeyword.IsKind(SyntaxKind.None));
        bool gives = own.OfType<ReturnStatementSyntax>().Any(one => one.Expression != null);
        string result = waits ? "global::System.Threading.Tasks.Task" + (gives ? "<int>" : "") : gives ? "int" : "void";
        string head = "static class Program { static " + (waits ? "async " : "") + result + " Main(string[] args) { } }";
        var shell = (ClassDeclarationSyntax)SyntaxFactory.ParseMemberDeclaration(head);
        var main = (MethodDeclarationSyntax)shell.Members[0];
        var body = SyntaxFactory.Block(loose.Select(one => one.Statement));
        var named = shell.WithMembers(SyntaxFactory.SingletonList<MemberDeclarationSyntax>(main.WithBody(body)));
        var partial = root.Members.OfType<ClassDeclarationSyntax>().Any(one => one.Identifier.Text == "Program");
        if (partial) named = named.WithIdentifier(SyntaxFactory.Identifier("PolymixProgram"));
        var others = root.Members.Where(member => !(member is GlobalStatementSyntax));
        var made = root.WithMembers(SyntaxFactory.List(new[] { (MemberDeclarationSyntax)named }.Concat(others)));
        return CSharpSyntaxTree.ParseText(made.ToFullString(), Parsing);
    }

    /// The program in a namespace of its own, so that names clash with nobody's; its lines stay where they are.
    static SyntaxTree Apart(SyntaxTree tree, int k)
    {
        var root = (CompilationUnitSyntax)tree.GetRoot();
        var members = root.Members.Select(member => Block(member));
        var usings = root.Usings.Select(one => Local(one));
        var apart = SyntaxFactory.NamespaceDeclaration(SyntaxFactory.IdentifierName("P" + k))
            .WithExterns(root.Externs)
            .WithUsings(SyntaxFactory.List(usings))
            .WithMembers(SyntaxFactory.List(members));
        var whole = root
            .WithExterns(default(SyntaxList<ExternAliasDirectiveSyntax>))
            .WithUsings(default(SyntaxList<UsingDirectiveSyntax>))
            .WithAttributeLists(default(SyntaxList<AttributeListSyntax>))
            .WithMembers(SyntaxFactory.SingletonList<MemberDeclarationSyntax>(apart));
        return tree.WithRootAndOptions(whole, Parsing);
    }

    /// A directive for all files may not stand in a namespace.
    static UsingDirectiveSyntax Local(UsingDirectiveSyntax one)
    {
        if (one.GlobalKeyword.IsKind(SyntaxKind.None)) return one;
        var keyword = one.UsingKeyword.WithLeadingTrivia(one.GlobalKeyword.LeadingTrivia);
        return one.WithGlobalKeyword(default(SyntaxToken)).WithUsingKeyword(keyword);
    }

    /// A namespace that covers its file may not stand in another.
    static MemberDeclarationSyntax Block(MemberDeclarationSyntax member)
    {
        var covering = member as FileScopedNamespaceDeclarationSyntax;
        if (covering == null) return member;
        var brace = SyntaxFactory.Token(SyntaxKind.OpenBraceToken)
            .WithTrailingTrivia(covering.SemicolonToken.TrailingTrivia);
        return SyntaxFactory.NamespaceDeclaration(covering.Name)
            .WithNamespaceKeyword(covering.NamespaceKeyword)
            .WithOpenBraceToken(brace)
            .WithExterns(covering.Externs)
            .WithUsings(covering.Usings)
            .WithMembers(covering.Members);
    }

    static bool Fatal(Diagnostic said)
    {
        return said.Severity == DiagnosticSeverity.Error;
    }

    static void Fail(int k, IEnumerable<Diagnostic> errors)
    {
        var told = errors.Select(error =>
            "line " + (error.Location.GetLineSpan().StartLinePosition.Line + 1) + ": error " + error.Id + ": "
            + error.GetMessage());
        Tell("X " + k + " " + Hexed(string.Join("\n", told)));
    }

    static void Tell(string line)
    {
        var bytes = Encoding.ASCII.GetBytes(line + "\n");
        protocol.Write(bytes, 0, bytes.Length);
        protocol.Flush();
    }

    static string Hexed(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text.Length > 2000 ? text.Substring(0, 2000) : text);
        return BitConverter.ToString(bytes).Replace("-", "");
    }
}
