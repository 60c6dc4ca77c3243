use super::*;

fn endpoint(host: &str, template: &str) -> Arc<EndpointView> {
    Arc::new(EndpointView {
        key: format!("{host}{template}"),
        aliases: vec![format!("old {host}{template}")],
        method: "GET".into(),
        host: host.into(),
        template: template.into(),
        operation: Some("Op".into()),
        ..EndpointView::default()
    })
}

fn view(endpoints: Vec<Arc<EndpointView>>) -> Arc<CatalogView> {
    Arc::new(CatalogView {
        endpoints,
        ..CatalogView::default()
    })
}

fn described(index: &Index) -> Vec<String> {
    let one = |row: &Row| {
        let host = index.known.hosts.iter().nth(row.host as usize).unwrap();
        format!(
            "{} {} {} {}",
            index.path(row),
            index.operation(row),
            host,
            row.requests
        )
    };
    index.rows.iter().map(one).collect()
}

/// Taken over row by row or made anew, an index is the same.
#[test]
fn what_has_not_changed_is_taken_over() {
    let all: Vec<_> = (0..9).map(|n| endpoint("a", &format!("/r{n}"))).collect();
    let mut first = Index::new(view(all.clone()), None);
    let mut next = all;
    next.remove(2);
    next.insert(0, endpoint("A", "/new"));
    let mut changed = next[4].as_ref().clone();
    changed.requests = 7;
    next[4] = Arc::new(changed);
    next.push(endpoint("b", "/z"));
    next.remove(6);
    let view = view(next);
    let taken = Index::new(view.clone(), Some(&first));
    let anew = Index::new(view.clone(), None);
    assert_eq!(described(&taken), described(&anew));
    for n in 0..taken.rows.len() {
        let e = taken.endpoint(n);
        assert_eq!(taken.find(&e.key), Some(n));
        assert_eq!(taken.find(&e.aliases[0]), Some(n));
    }
    assert_eq!(taken.find("a/r2"), None);
    // What is taken over is told by a mark in the old rows.
    first.rows.iter_mut().for_each(|row| row.requests = 99);
    let marked = Index::new(view, Some(&first));
    let marked: Vec<bool> = marked.rows.iter().map(|r| r.requests == 99).collect();
    let all_but = |n: usize| ![0, 4, 8].contains(&n);
    assert_eq!(marked, (0..9).map(all_but).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_index_is_made_once_for_a_view() {
    let catalog = ArcSwap::new(view(vec![endpoint("a", "/x")]));
    let indexes = Indexes::default();
    let (one, two) = tokio::join!(indexes.of(&catalog), indexes.of(&catalog));
    assert!(Arc::ptr_eq(&one, &two));
    catalog.store(view(Vec::new()));
    assert_eq!(indexes.of(&catalog).await.rows.len(), 0);
}
